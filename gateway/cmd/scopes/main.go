// Command scopes prints package scopes: a constant for every scope and role of openapi/services.yaml. It fails where a contract and the
// list disagree.
package main

import (
	"bytes"
	"fmt"
	"go/format"
	"io"
	"os"
	"strings"

	"github.com/sendtip/sendtip/gateway/internal/contract"
	"github.com/sendtip/sendtip/openapi"
)

func main() {
	if err := run(os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(to io.Writer) error {
	set, err := contract.Load(openapi.FS)
	if err != nil {
		return err
	}
	var b bytes.Buffer
	print := func(f string, args ...any) { _, _ = fmt.Fprintf(&b, f, args...) } // a buffer in memory does not fail
	print("// Package scopes names what callers may do, and the roles of users.\n//\n")
	print("// Code generated from openapi/services.yaml. DO NOT EDIT.\npackage scopes\n\n")
	print("// What an operation may ask for.\nconst (\n")
	for _, s := range set.AllScopes {
		print("// %s allows to %s.\n%s = %q\n", name(s.Name), s.Allows, name(s.Name), s.Name)
	}
	print(")\n\n// The roles.\nconst (\n")
	for _, r := range set.Roles {
		print("Role%s = %q\n", name(r.Name), r.Name)
	}
	print(")\n\n// OfRole returns what a role lets a user do; nothing for one that is not known.\n")
	print("func OfRole(role string) []string {\nswitch role {\n")
	for _, r := range set.Roles {
		names := make([]string, len(r.Scopes))
		for i, s := range r.Scopes {
			names[i] = name(s)
		}
		print("case Role%s:\nreturn []string{%s}\n", name(r.Name), strings.Join(names, ", "))
	}
	print("}\nreturn nil\n}\n")
	source, err := format.Source(b.Bytes())
	if err != nil {
		return err
	}
	_, err = to.Write(source)
	return err
}

// name is the Go name of a scope: admin:api_keys is AdminAPIKeys.
func name(scope string) string {
	var out strings.Builder
	for _, word := range strings.FieldsFunc(scope, func(r rune) bool { return r == ':' || r == '_' }) {
		if word == "api" {
			word = "API"
		}
		out.WriteString(strings.ToUpper(word[:1]) + word[1:])
	}
	return out.String()
}
