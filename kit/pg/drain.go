package pg

import "context"

// Drain runs step, which deletes a bounded number of rows and says how many, until it finds none, and returns their sum. Small steps keep
// locks short; a step that ran only once would fall behind for ever where rows come faster.
func Drain(ctx context.Context, step func(ctx context.Context) (int64, error)) (total int64, err error) {
	for {
		n, err := step(ctx)
		total += n
		if err != nil || n == 0 {
			return total, err
		}
	}
}
