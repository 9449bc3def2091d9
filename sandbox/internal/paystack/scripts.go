package paystack

import (
	"errors"
	"slices"

	"github.com/sendtip/sendtip/sandbox/control"
)

// Kinds of what a script is for; also the channels of storms.
const (
	kindPayment = "paystack_payment"
	kindPayout  = "paystack_payout"
	kindRefund  = "paystack_refund"
)

// maxScripts bounds the scripts of references and accounts.
const maxScripts = 20_000

// builtIn is how Paystack behaves when nobody says otherwise.
var builtIn = control.PaystackScript{Charge: "manual", Answer: "normal", Query: "normal", Webhook: "normal", Transfer: "success",
	Refund: "processed"}

// strikes are what a storm of each kind does.
var strikes = map[string]control.PaystackScript{
	"lost": {Webhook: "lose"}, "twice": {Webhook: "duplicate"}, "late": {Webhook: "delay"}, "altered": {Webhook: "alter"},
	"forged": {Webhook: "forge"}, "timeout": {Answer: "hang"}, "busy": {Answer: "throttled"}, "error_before": {Answer: "error_before"},
	"error_after": {Answer: "error"}, "silent": {Answer: "lose", Webhook: "lose"},
}

type scripts struct {
	global     control.PaystackScript
	references map[string]control.PaystackScript
	accounts   map[string]control.PaystackScript
	queue      []control.PaystackScript
}

func newScripts() scripts {
	return scripts{references: map[string]control.PaystackScript{}, accounts: map[string]control.PaystackScript{}}
}

var errFull = errors.New("too many scripts")

// SetScript replaces the global script.
func (s *Server) SetScript(in control.PaystackScript) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.scripts.global = in
}

// Script returns the global script as it was set.
func (s *Server) Script() control.PaystackScript {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.scripts.global
}

// SetReferenceScript replaces the script of a payment or payout, SetAccountScript that of a phone or account.
func (s *Server) SetReferenceScript(reference string, in control.PaystackScript) error {
	return s.set(s.scripts.references, reference, in)
}

// SetAccountScript replaces the script of a phone or account.
func (s *Server) SetAccountScript(account string, in control.PaystackScript) error {
	return s.set(s.scripts.accounts, account, in)
}

func (s *Server) set(in map[string]control.PaystackScript, key string, script control.PaystackScript) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if script == (control.PaystackScript{}) {
		delete(in, key)
		return nil
	}
	if len(in) >= maxScripts {
		return errFull
	}
	in[key] = script
	return nil
}

// QueueScript adds a script for one later payment, payout or refund.
func (s *Server) QueueScript(in control.PaystackScript) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.scripts.queue) >= maxQueued {
		return errFull
	}
	s.scripts.queue = append(s.scripts.queue, in)
	return nil
}

// fits reports whether a queued script is for a kind: it says nothing about the others.
func fits(in control.PaystackScript, kind string) bool {
	return (in.Charge == "" || kind == kindPayment) && (in.Transfer == "" || kind == kindPayout) && (in.Refund == "" || kind == kindRefund)
}

// script is how something new goes: the next queued script that fits, then the reference's, a storm, the account's and the global one.
// Callers hold mu.
func (s *Server) script(kind, reference, account string) control.PaystackScript {
	base := s.scripts.accounts[account].Over(s.scripts.global).Over(builtIn)
	if own, ok := s.scripts.references[reference]; ok {
		base = own.Over(base)
	}
	if i := slices.IndexFunc(s.scripts.queue, func(in control.PaystackScript) bool { return fits(in, kind) }); i >= 0 {
		queued := s.scripts.queue[i]
		s.scripts.queue = slices.Delete(s.scripts.queue, i, i+1)
		return queued.Over(base)
	}
	struck := s.world.Strike(kind, account, func(k string) bool { _, ok := strikes[k]; return ok })
	return strikes[struck].Over(base)
}

// queries is how a question about something is answered now: what was set since then counts, as does its own script. Callers hold mu.
func (s *Server) queries(own control.PaystackScript, reference, account string) string {
	for _, script := range []control.PaystackScript{s.scripts.references[reference], s.scripts.accounts[account], s.scripts.global} {
		if script.Query != "" {
			return script.Query
		}
	}
	return own.Query
}
