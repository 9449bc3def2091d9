package app

import "context"

// WrapClosings lets a test stand between the groups of transfers that end and their transaction. commit runs it.
func (a *App) WrapClosings(wrap func(size int, commit func() error) error) {
	a.closings = newClosings(func(ctx context.Context, group []closing) (closed []bool, err error) {
		err = wrap(len(group), func() (err error) {
			closed, err = a.commitClosings(ctx, group)
			return err
		})
		return closed, err
	}, a.Log)
}
