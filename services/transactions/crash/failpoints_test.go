package crash_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/sendtip/sendtip/kit/pgtest"
)

// point is a place in the code where the process can be made to end.
type point struct{ name, file string }

// points finds every call of failpoint in the code, so that none is left out here.
func points(t *testing.T) (list []point) {
	t.Helper()
	files, err := filepath.Glob("../internal/app/*.go")
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		tree, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(tree, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			if called, ok := call.Fun.(*ast.Ident); !ok || called.Name != "failpoint" || len(call.Args) != 1 {
				return true
			}
			literal, ok := call.Args[0].(*ast.BasicLit)
			if !ok {
				t.Fatalf("%s: a failpoint whose name is not written out", file)
			}
			name, err := strconv.Unquote(literal.Value)
			if err != nil || seen[name] {
				t.Fatalf("%s: failpoint %s (%v) is malformed or there twice", file, literal.Value, err)
			}
			seen[name] = true
			list = append(list, point{name, filepath.Base(file)})
			return true
		})
	}
	if len(list) < 10 {
		t.Fatalf("%d failpoints: the committer, the sealer and the publisher have ten", len(list))
	}
	return list
}

// inTurn says that the point is on the way of the sealer or the publisher, of which one works at a time.
func (p point) inTurn() bool {
	return p.file == "sealer.go" || p.file == "checkpoints.go" || p.file == "publish.go"
}

// hit is how often the point is passed before it ends the process: batches are many, passes of sealer and publisher are few.
func (p point) hit() int {
	if p.inTurn() {
		return 2
	}
	return 20
}

// TestFailpoints runs two replicas under load and ends one of them by kill -9 at each step of the committer, the sealer, the signer and the
// publisher. The other one goes on with all of it, the dead one comes back, and no acknowledged transaction is lost or there twice (L8).
func TestFailpoints(t *testing.T) {
	t.Parallel()
	c := newCluster(t, pgtest.Cluster(t).URL("postgres"))
	for _, p := range points(t) {
		t.Run(p.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, c)
			victim, other := w.replica("victim"), w.replica("other")
			failpoint := fmt.Sprintf("%s:%d", p.name, p.hit())
			other.start("")
			if p.inTurn() { // the other one might always be the first: it only opens the accounts, whose money may be published at once
				w.open(6)
				other.end()
				victim.start(failpoint)
			} else {
				victim.start(failpoint)
				w.open(6)
			}
			stop := w.load(6)
			victim.diedAt(p.name)
			if p.inTurn() {
				other.start("")
			}
			// Also when the dead one held the sealer's or the publisher's lock, the other one seals, signs and publishes.
			sealed, published := w.number("SELECT size FROM ledger_tree"), w.number("SELECT coalesce(max(next_index), 0) FROM publications")
			w.waitAnswered(60)
			w.eventually("the other replica seals and publishes", func() bool {
				return w.number("SELECT size FROM ledger_tree") > sealed &&
					w.number("SELECT coalesce(max(next_index), 0) FROM publications") > published
			})
			victim.start("")
			victim.waitReady()
			w.waitAnswered(60)
			stop()
			w.prove(1) // the dead one may have been between the signature and the file, whatever else it was about
			if w.unknown.Load() == 0 {
				t.Error("no answer was lost: clients did not feel that a process died")
			}
		})
	}
}

// TestReplicasTakeOver kills two replicas in turn under load, each several times: the one that is left seals, signs and publishes, whoever
// did so before, and the tree has neither a gap nor a leaf twice.
func TestReplicasTakeOver(t *testing.T) {
	t.Parallel()
	w := newWorld(t, newCluster(t, pgtest.Cluster(t).URL("postgres")))
	for _, name := range []string{"a", "b"} {
		w.replica(name).start("")
	}
	w.open(6)
	stop := w.load(6)
	for i := range 6 {
		victim := w.replicas[i%2]
		w.replicas[1-i%2].waitReady()
		victim.kill()
		sealed, published := w.number("SELECT size FROM ledger_tree"), w.number("SELECT coalesce(max(next_index), 0) FROM publications")
		w.waitAnswered(20)
		w.eventually("the one that is left seals and publishes", func() bool {
			return w.number("SELECT size FROM ledger_tree") > sealed && w.number("SELECT coalesce(max(next_index), 0) FROM publications") > published
		})
		victim.start("")
		victim.waitReady()
	}
	stop()
	w.prove(6) // each may have died between the signature and the file
	if w.unknown.Load() == 0 {
		t.Error("no answer was lost: clients did not feel that processes died")
	}
}
