package app

import (
	"context"

	"github.com/google/uuid"
)

// WrapClosings lets a test stand between the groups of transfers that end and their transaction. commit runs it.
func (a *App) WrapClosings(wrap func(size int, commit func() error) error) {
	a.closings.commit = func(ctx context.Context, group []*closing) (closed []uuid.UUID, err error) {
		err = wrap(len(group), func() (err error) {
			closed, err = a.commitClosings(ctx, group)
			return err
		})
		return closed, err
	}
}
