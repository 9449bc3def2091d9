// Command mutants plants bugs, one at a time, and says which of them no test sees. Some are described: bugs of a kind that was made or
// feared here. Others are drawn over the syntax by a seed, and say what the described ones do not think of. Nothing in the tree is changed:
// a mutant is an overlay of one file. `make test-mutants` runs it from the root of the repository.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"
)

// mutant is one bug: a text of one file that is replaced.
type mutant struct {
	name  string   // of a described one what it breaks, of a drawn one its place and change
	file  string   // from the root
	old   string   // occurs once in the file
	new   string   // instead
	tests []string // packages whose tests must see it, from the root
	drawn bool
	at    int // where old stands
}

// options are those of the command line.
type options struct {
	seed   uint64
	draws  int
	told   bool // the described ones too
	only   *regexp.Regexp
	resume bool
	tests  string
}

func main() {
	var o options
	flag.Uint64Var(&o.seed, "seed", 10, "what the drawn mutants depend on")
	flag.IntVar(&o.draws, "drawn", 40, "how many are drawn")
	flag.BoolVar(&o.told, "described", true, "plant the described ones too")
	only := flag.String("only", "", "plant only those whose name or file this pattern finds")
	flag.StringVar(&o.tests, "run", "", "ask only the tests that this pattern finds: whom they kill is killed")
	flag.BoolVar(&o.resume, "resume", false, "take over who was killed in the run before, as long as the mutated file is the same")
	flag.Parse()
	o.only = regexp.MustCompile(*only)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, o); err != nil {
		fmt.Fprintln(os.Stderr, "mutants:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, o options) error {
	began := time.Now()
	const root = "."
	explained, err := explanations(filepath.Join(root, "docs/testing.md"))
	if err != nil {
		return err
	}
	all, err := described()
	if err != nil {
		return err
	}
	r := &runner{root: root, tests: o.tests, baselines: map[string]time.Duration{}, said: map[string]string{}}
	if err := r.load(o.resume); err != nil {
		return err
	}
	all = slices.DeleteFunc(all, func(m mutant) bool { return !o.told || !o.wants(m) })
	fmt.Printf("%d described mutants, %d drawn ones with the seed %d\n", len(all), o.draws, o.seed)
	var alive []mutant
	planted := 0
	plant := func(m mutant) error {
		planted++
		lives, err := r.judge(ctx, m, planted)
		if lives {
			alive = append(alive, m)
		}
		return err
	}
	for _, m := range all {
		if err := plant(m); err != nil {
			return fmt.Errorf("%s: %w", m.name, err)
		}
	}
	if err := drawnOnes(ctx, root, o, plant); err != nil {
		return err
	}
	return report(alive, explained, planted, time.Since(began))
}

func (o options) wants(m mutant) bool {
	return o.only.MatchString(m.name) || o.only.MatchString(m.file)
}

// drawnOnes plants as many drawn mutants as are asked for, the same number in each module. One that does not compile says nothing, and the
// next of its kind takes its place.
func drawnOnes(ctx context.Context, root string, o options, plant func(mutant) error) error {
	for i, module := range modules {
		drawn, err := newDraw(ctx, root, module, o.seed)
		if err != nil {
			return err
		}
		for n := (o.draws + i) / len(modules); n > 0; {
			m, ok := drawn.next()
			if !ok {
				return fmt.Errorf("%s: nothing is left to draw", module)
			}
			if !o.wants(m) {
				n--
				continue
			}
			switch err := plant(m); {
			case errors.Is(err, errBroken):
			case err != nil:
				return fmt.Errorf("%s: %w", m.name, err)
			default:
				n--
			}
		}
	}
	return nil
}

// report lists who lives. A described mutant must not; a drawn one may if somebody has said why it does not matter.
func report(alive []mutant, explained map[string]bool, planted int, took time.Duration) error {
	unexplained := 0
	for _, m := range alive {
		why := "explained in docs/testing.md"
		if !m.drawn || !explained[m.name] {
			why = "NOT EXPLAINED"
			unexplained++
		}
		fmt.Printf("alive: %s (%s) %s\n", m.name, m.file, why)
	}
	fmt.Printf("it took %s\n", took.Round(time.Second))
	fmt.Printf("mutants: %d planted, %d killed, %d alive\n", planted, planted-len(alive), len(alive))
	if unexplained > 0 {
		return fmt.Errorf("%d live: write the test that kills them, or say in docs/testing.md why a drawn one does not matter", unexplained)
	}
	return nil
}

var explanation = regexp.MustCompile("(?m)^\\| `([^`]+)` \\|")

// explanations are the names of the first column of a table of drawn mutants that live.
func explanations(path string) (map[string]bool, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	out := map[string]bool{}
	for _, m := range explanation.FindAllSubmatch(text, -1) {
		out[strings.ReplaceAll(string(m[1]), `\|`, "|")] = true
	}
	return out, nil
}
