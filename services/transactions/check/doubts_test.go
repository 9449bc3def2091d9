package check

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/uuid"
)

// TestKeepBounds: of the suspects of one row only so many are kept, the one that comes first in the tree among them, in whatever order the
// workers find them, and those of another row are no matter.
func TestKeepBounds(t *testing.T) {
	t.Parallel()
	r := &run{doubted: map[string]doubts{}}
	random := rand.New(rand.NewPCG(1, 2)) // #nosec G404 -- a test
	keep := func(key string, index int64) {
		r.keep(&suspect{batch: &batch{first: index}, id: uuid.New(), altered: Finding{Key: key}})
	}
	keep("account b", 3)
	for _, i := range random.Perm(5 * maxDoubts) {
		keep("account a", int64(100+i))
	}
	keep("account b", 7)
	keep("account a", -1) // it waits to be sealed
	ofA := slices.DeleteFunc(slices.Clone(r.suspects), func(p suspect) bool { return p.altered.Key != "account a" })
	lowest := slices.MinFunc(ofA, func(a, b suspect) int { return int(a.index() - b.index()) })
	if len(ofA) != maxDoubts || lowest.index() != 100 || len(r.suspects) != maxDoubts+2 {
		t.Errorf("%d of %d are kept, the first at %d", len(ofA), len(r.suspects), lowest.index())
	}
}
