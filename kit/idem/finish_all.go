package idem

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/sendtip/sendtip/kit/fault"
	"github.com/sendtip/sendtip/kit/web"
)

// Execer is a pgx.Tx, or a pipeline of statements that is sent in one.
type Execer interface {
	Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error)
}

// Finished is the end of one key.
type Finished struct {
	ID     uuid.UUID // of the key's row
	Status int       // HTTP status of the result
	Result any       // what a repeated request gets, encoded as JSON and sealed
}

// Refused is the end of a key whose refusal was committed (a failed row): it is replayed like a success.
func Refused(id uuid.UUID, f *fault.Error) Finished {
	return Finished{ID: id, Status: web.Status(f.Kind), Result: f}
}

// FinishAll is FinishByID for many keys with one statement, for writers that end many operations at once. A key that is finished already
// stays as it is. The ids must differ.
func (s *Store) FinishAll(ctx context.Context, tx Execer, all []Finished) error {
	if len(all) == 0 {
		return nil
	}
	ids, statuses, results := make([]uuid.UUID, len(all)), make([]int32, len(all)), make([][]byte, len(all))
	for i, f := range all {
		sealed, err := s.sealed(f.ID, f.Result)
		if err != nil {
			return err
		}
		ids[i], statuses[i], results[i] = f.ID, int32(f.Status), sealed
	}
	_, err := tx.Exec(ctx, `UPDATE idempotency_keys k SET status = f.status, result = f.result, finished_at = $4
		FROM unnest($1::uuid[], $2::integer[], $3::bytea[]) AS f (id, status, result) WHERE k.id = f.id AND k.status IS NULL`,
		ids, statuses, results, s.now())
	if err != nil {
		return fmt.Errorf("finish %d idempotency keys: %w", len(all), err)
	}
	return nil
}

// sealed is a result as its row keeps it.
func (s *Store) sealed(id uuid.UUID, result any) ([]byte, error) {
	b, err := json.Marshal(result)
	if err != nil {
		return nil, fmt.Errorf("encode result: %w", err)
	}
	sealed, err := s.sealer.Seal(purpose(id), b)
	if err != nil {
		return nil, fmt.Errorf("seal result: %w", err)
	}
	return sealed, nil
}
