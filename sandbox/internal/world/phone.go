package world

import (
	"cmp"
	"errors"
	"fmt"
	"hash/fnv"
	"slices"
	"time"

	"github.com/sendtip/sendtip/sandbox/control"
)

type phone struct {
	msisdn   string
	balance  int64
	messages []control.Message
	script   control.Script
	queue    []control.Script
	seenAt   time.Time
}

var firstNames = []string{"AMINA", "BRIAN", "CAROLINE", "DENNIS", "ESTHER", "FAITH", "GEORGE", "HASSAN", "IRENE", "JOSEPH", "KEVIN", "LUCY"}
var lastNames = []string{"WANJIKU", "OTIENO", "KAMAU", "ACHIENG", "MUTUA", "CHEBET", "HASSAN", "NJOROGE", "WAFULA", "KIPROTICH"}

// Name is the handset owner's name at the operator: invented, but always the same for a number.
func Name(msisdn string) (first, last string) {
	h := fnv.New32a()
	_, _ = h.Write([]byte(msisdn)) // never fails
	n := int(h.Sum32() % 1_000_003)
	return firstNames[n%len(firstNames)], lastNames[(n/16)%len(lastNames)]
}

// phone returns the handset and creates it on first sight. Callers hold mu.
func (w *World) phone(msisdn string) *phone {
	p := w.phones[msisdn]
	if p == nil {
		if len(w.phones) >= maxPhones {
			w.dropOldestPhones()
		}
		p = &phone{msisdn: msisdn, balance: StartBalanceMinor}
		w.phones[msisdn] = p
	}
	p.seenAt = w.Now()
	return p
}

func (w *World) dropOldestPhones() {
	all := make([]*phone, 0, len(w.phones))
	for _, p := range w.phones {
		all = append(all, p)
	}
	slices.SortFunc(all, func(a, b *phone) int { return a.seenAt.Compare(b.seenAt) })
	for _, p := range all[:len(all)/10] {
		delete(w.phones, p.msisdn)
	}
}

func (w *World) nextID(kind string) string {
	w.sequence++
	return fmt.Sprintf("%s-%d", kind, w.sequence)
}

// Deliver puts an SMS into a handset's inbox.
func (w *World) Deliver(msisdn, from, text string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	p := w.phone(msisdn)
	p.messages = push(p.messages, control.Message{ID: w.nextID("sms"), To: msisdn, From: from, Text: text, At: w.Now()}, maxMessages)
}

// Messages returns an inbox, oldest first.
func (w *World) Messages(msisdn string) []control.Message {
	w.mu.Lock()
	defer w.mu.Unlock()
	if p := w.phones[msisdn]; p != nil {
		return append([]control.Message{}, p.messages...)
	}
	return []control.Message{}
}

// Spend takes money from a handset's balance and returns what is left; false if there is not enough.
func (w *World) Spend(msisdn string, minor int64) (int64, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	p := w.phone(msisdn)
	if p.balance < minor {
		return p.balance, false
	}
	p.balance -= minor
	return p.balance, true
}

// Refund gives money back that was spent on a payment that the shop refused.
func (w *World) Refund(msisdn string, minor int64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.phone(msisdn).balance += minor
}

// SetBalance sets a handset's balance.
func (w *World) SetBalance(msisdn string, minor int64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.phone(msisdn).balance = minor
}

// Touch makes a handset known.
func (w *World) Touch(msisdn string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.phone(msisdn)
}

// Phones lists the handsets, the one seen last first, at most limit.
func (w *World) Phones(limit int) []control.Phone {
	w.mu.Lock()
	defer w.mu.Unlock()
	out := make([]control.Phone, 0, len(w.phones))
	for _, p := range w.phones {
		out = append(out, p.view())
	}
	slices.SortFunc(out, func(a, b control.Phone) int {
		return cmp.Or(b.SeenAt.Compare(a.SeenAt), cmp.Compare(a.Msisdn, b.Msisdn))
	})
	return out[:min(limit, len(out))]
}

// Phone returns one handset; one that was never seen looks new.
func (w *World) Phone(msisdn string) control.Phone {
	w.mu.Lock()
	defer w.mu.Unlock()
	if p := w.phones[msisdn]; p != nil {
		return p.view()
	}
	return (&phone{msisdn: msisdn, balance: StartBalanceMinor}).view()
}

func (p *phone) view() control.Phone {
	first, last := Name(p.msisdn)
	return control.Phone{
		Msisdn: p.msisdn, Name: first + " " + last, BalanceMinor: p.balance, Messages: len(p.messages),
		Script: p.script, Queued: len(p.queue), SeenAt: p.seenAt,
	}
}

// SetPhoneScript replaces a handset's own script.
func (w *World) SetPhoneScript(msisdn string, s control.Script) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.phone(msisdn).script = s
}

// QueueScript adds a script for one later prompt or payout.
func (w *World) QueueScript(msisdn string, s control.Script) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	p := w.phone(msisdn)
	if len(p.queue) >= maxQueued {
		return errors.New("too many scripts are queued for this phone")
	}
	p.queue = append(p.queue, s)
	return nil
}

// ScriptFor is the script that holds for a handset now. An unknown or empty number gets the global one.
func (w *World) ScriptFor(msisdn string) control.Script {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.scriptFor(msisdn)
}

func (w *World) scriptFor(msisdn string) control.Script {
	script := w.global.Over(w.defaults)
	if p := w.phones[msisdn]; p != nil {
		script = p.script.Over(script)
	}
	return script
}

// PromptScript is ScriptFor with the first queued script that is about prompts on top, which it uses up and also returns alone.
func (w *World) PromptScript(msisdn string) (script, queued control.Script) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.useQueued(msisdn, false)
}
