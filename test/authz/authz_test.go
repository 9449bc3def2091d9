package authz

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
)

// TestEveryOperationHasARow: a new operation needs somebody who says whose its objects are, and a removed one takes its row along.
func TestEveryOperationHasARow(t *testing.T) {
	t.Parallel()
	all, err := operations()
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, o := range all {
		seen[o.id] = true
		if _, ok := ownership[o.id]; !ok {
			t.Errorf("%s has no row in ownership.go: say whose its objects are", o.id)
		}
	}
	for id := range ownership {
		if !seen[id] {
			t.Errorf("%s is in no contract: delete its row in ownership.go", id)
		}
	}
}

// TestMatrix asks every operation as everybody.
func TestMatrix(t *testing.T) {
	t.Parallel()
	all, err := operations()
	if err != nil {
		t.Fatal(err)
	}
	w := start(t)
	w.gather()
	slices.SortStableFunc(all, func(a, b operation) int { return order(a) - order(b) })
	for _, o := range all {
		if by := ownership[o.id].by; by != "" {
			w.make(all, by, ownership[o.id].owned[0])
		}
	}
	cells, failed := 0, 0
	for _, o := range all {
		for _, p := range w.people {
			cells++
			if fault := w.ask(o, p); fault != "" {
				failed++
				t.Errorf("%s by %s: %s", o.id, p.name, fault)
			}
		}
	}
	line := fmt.Sprintf("authz: %d operations, %d cells, %d failed", len(all), cells, failed)
	t.Log(line)
	if file := os.Getenv("SENDTIP_AUTHZ_REPORT"); file != "" {
		if err := os.WriteFile(file, []byte(line+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// make lets the customer make an object for a place of the table.
func (w *world) make(all []operation, by, place string) {
	w.Helper()
	at := slices.IndexFunc(all, func(o operation) bool { return o.id == by })
	owner := slices.IndexFunc(w.people, func(p somebody) bool { return p.owner })
	if at < 0 {
		w.Fatalf("%s, which makes %s, is in no contract", by, place)
	}
	r, err := all[at].request(w.Gateway, w.objects)
	w.must(err)
	for k, v := range w.people[owner].header {
		r.Header[k] = v
	}
	resp, err := w.HTTP.Do(r)
	w.must(err)
	defer func() { _ = resp.Body.Close() }()
	var answer map[string]any
	w.must(json.NewDecoder(resp.Body).Decode(&answer))
	id, ok := answer[place].(string)
	if !ok {
		id, ok = answer["id"].(string)
	}
	if !ok || resp.StatusCode >= http.StatusBadRequest {
		w.Fatalf("%s made no %s: %d", by, place, resp.StatusCode)
	}
	w.objects[place] = id
}

func order(o operation) int {
	if ownership[o.id].last {
		return 1
	}
	return 0
}

// ask fills one cell, and returns what is wrong with it.
func (w *world) ask(o operation, p somebody) string {
	base := w.Gateway
	if p.scheme == serviceKey {
		base = w.p.InternalURL()
	}
	r, err := o.request(base, w.objects)
	if err != nil {
		return err.Error()
	}
	for k, v := range p.header {
		r.Header[k] = v
	}
	if o.stepUp && p.approve != nil {
		token, err := p.approve(o)
		if err != nil {
			return err.Error()
		}
		r.Header.Set("Step-Up-Token", token)
	}
	resp, err := w.HTTP.Do(r)
	if err != nil {
		return err.Error()
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return err.Error()
	}
	var problem struct{ Code, Detail string }
	if resp.StatusCode >= http.StatusBadRequest {
		_ = json.Unmarshal(body, &problem) // no problem: no code, and the verdict says so
	}
	if want, got := expect(o, p.persona), judge(o, resp.StatusCode, problem.Code, problem.Detail); got != want {
		return fmt.Sprintf("%s (%d %s), must be %s", got, resp.StatusCode, problem.Code, want)
	}
	if p.owner || p.scheme == serviceKey || slices.ContainsFunc(p.rights(), func(s string) bool { return strings.HasPrefix(s, "admin:") }) {
		return ""
	}
	for _, mark := range w.marks {
		if mark != "" && strings.Contains(string(body), mark) {
			return "the answer shows something of the customer's"
		}
	}
	return ""
}

// judge says what an answer means for who asks.
func judge(o operation, status int, code, detail string) verdict {
	switch {
	case status == http.StatusUnauthorized && slices.Contains(credentialCodes, code):
		return unauthenticated
	case o.webhook && status == http.StatusUnauthorized && code == "signature_invalid":
		return hidden // it proves itself by a signature in place of a token in the path
	case status == http.StatusForbidden && (code == "forbidden" || code == "agent_required"):
		return forbidden
	case status == http.StatusNotFound && detail == "There is no such path.":
		return absent
	case status == http.StatusNotFound && (o.webhook || len(ownership[o.id].owned) > 0):
		return hidden
	case status >= http.StatusInternalServerError || code == "rate_limited" || status == http.StatusBadRequest:
		return spoilt
	}
	return allowed
}

// credentialCodes are refusals of a credential; other 401 say that a secret in the body is wrong.
var credentialCodes = []string{"unauthenticated", "invalid_token", "token_expired", "session_revoked", "session_ended", "invalid_api_key",
	"api_key_expired", "invalid_service_key"}
