package edge

import "testing"

func TestRoom(t *testing.T) {
	t.Parallel()
	released := 0
	r := newRoom(maxBodiesOf)
	r.release = func() { released++ }
	const piece = 1 << 20
	took := func(who string, known bool) (n int64) {
		for r.take(who, piece, known) {
			n += piece
		}
		return n
	}
	if got := took("a", false); got != maxBodiesOf {
		t.Fatalf("one address got %d bytes", got)
	}
	if got := took("b", false) + took("c", false) + took("d", false); got != maxBodies*3/4-maxBodiesOf {
		t.Fatalf("the others got %d bytes", got)
	}
	if got := took("provider", true); got != maxBodies/4 {
		t.Fatalf("a provider got %d bytes of what is kept for it", got)
	}
	if r.take("provider 2", 1, true) {
		t.Fatal("more than the listener may hold")
	}
	if r.give("a", piece); !r.take("provider 2", piece, true) {
		t.Fatal("what was given back cannot be taken")
	}
	for who, n := range r.by {
		r.give(who, n)
	}
	if len(r.by) != 0 || r.all != 0 || released != 1 {
		t.Fatalf("%d addresses, %d bytes, memory released %d times", len(r.by), r.all, released)
	}
}
