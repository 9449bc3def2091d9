// Package route finds the operation of a request. It is a tree of path segments, because a linear search over all paths costs more
// than the rest of the gateway, and net/http's mux redirects unclean paths, which a gateway must refuse instead.
package route

import (
	"fmt"
	"sort"
	"strings"

	"github.com/sendtip/sendtip/gateway/internal/contract"
)

// maxParams bounds the path parameters of one route.
const maxParams = 6

// Params are the path parameters of one match, in the order of the path.
type Params struct {
	n      int
	values [maxParams]string
}

// Match is what a request's path means.
type Match struct {
	Entry  *Entry // nil: no such path, or, if Allow is set, no such method
	Allow  string
	Params Params
}

// Entry is one operation with the names of its path parameters.
type Entry struct {
	Op    *contract.Operation
	names []string
}

// Value returns the path parameter by name.
func (e *Entry) Value(p *Params, name string) (string, bool) {
	for i, n := range e.names {
		if n == name && i < p.n {
			return p.values[i], true
		}
	}
	return "", false
}

type node struct {
	static  map[string]*node
	param   *node
	methods map[string]*Entry
	allow   string
}

// Table holds the routes of one listener. It is complete before the first request and not changed afterwards.
type Table struct{ root *node }

// New builds a table. A path that cannot be held is an error.
func New(ops []*contract.Operation) (*Table, error) {
	t := &Table{root: &node{}}
	for _, op := range ops {
		if err := t.add(op); err != nil {
			return nil, fmt.Errorf("route %s: %w", op.Template(), err)
		}
	}
	return t, nil
}

func (t *Table) add(op *contract.Operation) error {
	n, e := t.root, &Entry{Op: op}
	for segment := range strings.SplitSeq(strings.TrimPrefix(op.Path, "/"), "/") {
		switch {
		case segment == "" || strings.ContainsAny(segment, "{}") && (segment[0] != '{' || segment[len(segment)-1] != '}'):
			return fmt.Errorf("segment %q cannot be matched", segment)
		case segment[0] == '{':
			e.names = append(e.names, segment[1:len(segment)-1])
			if n.param == nil {
				n.param = &node{}
			}
			n = n.param
		default:
			if n.static == nil {
				n.static = map[string]*node{}
			}
			if n.static[segment] == nil {
				n.static[segment] = &node{}
			}
			n = n.static[segment]
		}
	}
	if len(e.names) > maxParams {
		return fmt.Errorf("more than %d path parameters", maxParams)
	}
	if n.methods == nil {
		n.methods = map[string]*Entry{}
	}
	if n.methods[op.Method] != nil {
		return fmt.Errorf("the route exists already as %s", n.methods[op.Method].Op.ID)
	}
	n.methods[op.Method] = e
	var methods []string
	for m := range n.methods {
		methods = append(methods, m)
	}
	sort.Strings(methods)
	n.allow = strings.Join(methods, ", ")
	return nil
}

// Find matches a method and a decoded path. Paths with empty, `.` or `..` segments match nothing: upstream they could mean something else.
func (t *Table) Find(method, path string) Match {
	var m Match
	if len(path) < 2 || path[0] != '/' {
		return m
	}
	n := find(t.root, path[1:], &m.Params)
	if n == nil {
		return m
	}
	if m.Entry = n.methods[method]; m.Entry == nil {
		m.Allow = n.allow
	}
	return m
}

// find prefers the static child and falls back to the parameter, so that /a/b/x and /a/{id}/y can stand side by side.
func find(n *node, rest string, p *Params) *node {
	segment, tail, more := strings.Cut(rest, "/")
	if segment == "" || segment == "." || segment == ".." {
		return nil
	}
	if child := n.static[segment]; child != nil {
		if found := step(child, tail, more, p); found != nil {
			return found
		}
	}
	if n.param == nil || p.n == maxParams {
		return nil
	}
	p.values[p.n] = segment
	p.n++
	if found := step(n.param, tail, more, p); found != nil {
		return found
	}
	p.n--
	return nil
}

func step(child *node, tail string, more bool, p *Params) *node {
	if more {
		return find(child, tail, p)
	}
	if child.methods == nil {
		return nil
	}
	return child
}
