package app

import (
	"testing"

	"github.com/sendtip/sendtip/services/transactions/internal/domain"
)

// TestAtomicListsShareNoReference: a list of which somebody else's request in the same batch has a reference first, or which is known in
// part, is refused as a whole; a list that comes twice is posted once.
func TestAtomicListsShareNoReference(t *testing.T) {
	t.Parallel()
	request := func(reference string, list int64) domain.Request {
		return domain.Request{Reference: reference, AtomicList: list}
	}
	b := &batch{requests: []domain.Request{request("b", 0), request("a", 1), request("b", 1), request("c", 2), request("d", 2),
		request("c", 3), request("d", 3),
		request("known", 4), request("e", 4), request("f", 0)}}
	b.pick(map[string]bool{"a": true, "b": true, "c": true, "d": true, "e": true, "f": true})
	want := map[string]bool{"a": true, "b": false, "c": false, "d": false, "e": true, "f": false}
	if len(b.fresh) != len(want) {
		t.Fatalf("%+v", b.fresh)
	}
	for _, r := range b.fresh {
		if r.Doomed != want[r.Reference] {
			t.Errorf("%s doomed: %v", r.Reference, r.Doomed)
		}
	}
}
