// Package world is what the sandbox's parts share: handsets with their inboxes, balances and scripts, the mails, the
// payments that really happened, and the goroutines that send callbacks. Everything is in memory and bounded.
package world

import (
	"context"
	"errors"
	"log/slog"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/sendtip/sendtip/sandbox/control"
)

// Bounds of what is kept; the oldest goes first.
const (
	maxPhones     = 20_000
	maxMessages   = 200
	maxQueued     = 100
	maxMails      = 2_000
	maxEntries    = 200_000
	maxDeliveries = 20_000
)

// StartBalanceMinor is a new handset's M-Pesa balance: KES 100,000.
const StartBalanceMinor = 100_000_00

// Options are the settings of a World.
type Options struct {
	Log             *slog.Logger
	Now             func() time.Time
	CallbackTimeout time.Duration
	Defaults        control.Script   // below the global script
	Float           map[string]int64 // what each account of these short codes holds at the start, in KES minor units
	Speed           int64            // of built-in delays; 0 is 1
}

// World is the shared state. It is safe for concurrent use.
type World struct {
	log      *slog.Logger
	now      func() time.Time
	defaults control.Script
	float    map[string]int64
	speed    int64
	poster   *poster

	life   context.Context
	stop   context.CancelFunc
	closed bool // guarded by mu: no goroutine starts after Close began to wait
	wg     sync.WaitGroup

	mu         sync.Mutex
	global     control.Script
	phones     map[string]*phone
	mails      []control.Mail
	statement  control.Statement
	books      map[string]*book // by short code
	storm      storm
	deliveries []control.Delivery
	sequence   int64
}

// New returns an empty world.
func New(o Options) *World {
	life, stop := context.WithCancel(context.Background())
	return &World{
		log: o.Log, now: o.Now, defaults: o.Defaults, float: o.Float, speed: max(1, o.Speed), poster: newPoster(o.CallbackTimeout),
		life: life, stop: stop, phones: map[string]*phone{}, books: map[string]*book{},
	}
}

// Now is the sandbox's time in UTC.
func (w *World) Now() time.Time { return w.now().UTC() }

// Log is the logger; phone numbers and texts never go there.
func (w *World) Log() *slog.Logger { return w.log }

// Go runs f until it returns; its context ends when the sandbox stops. After Close it does nothing.
func (w *World) Go(f func(context.Context)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return
	}
	w.wg.Go(func() { f(w.life) })
}

// Close ends all goroutines and waits for them.
func (w *World) Close() {
	w.mu.Lock()
	w.closed = true
	w.mu.Unlock()
	w.stop()
	w.wg.Wait()
}

// Pause waits for d; false means that the sandbox is stopping.
func Pause(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// Scaled is a built-in delay at the sandbox's pace.
func (w *World) Scaled(d time.Duration) time.Duration { return d / time.Duration(w.speed) }

// MS reads a script's delay.
func MS(v *int, otherwise time.Duration) time.Duration {
	if v == nil {
		return otherwise
	}
	return time.Duration(*v) * time.Millisecond
}

var e164 = regexp.MustCompile(`^\+[1-9]\d{7,14}$`)

// Number turns what people type (2547…, +2547…, 07…) into E.164.
func Number(s string) (string, error) {
	s = strings.TrimSpace(s)
	switch {
	case strings.HasPrefix(s, "0") && len(s) == 10:
		s = "+254" + s[1:]
	case !strings.HasPrefix(s, "+"):
		s = "+" + s
	}
	if !e164.MatchString(s) {
		return "", errors.New("not a phone number in international form")
	}
	return s, nil
}

// AddMail stores a mail.
func (w *World) AddMail(m control.Mail) {
	w.mu.Lock()
	defer w.mu.Unlock()
	m.ID, m.At = w.nextID("mail"), w.Now()
	w.mails = push(w.mails, m, maxMails)
}

// Mails returns the mails, oldest first.
func (w *World) Mails() []control.Mail {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]control.Mail{}, w.mails...)
}

// AddEntry records a payment that happened.
func (w *World) AddEntry(e control.Entry) {
	w.mu.Lock()
	defer w.mu.Unlock()
	s := &w.statement
	s.TotalMinor += e.AmountMinor
	s.Count++
	s.Data = push(s.Data, e, maxEntries)
	s.Dropped = s.Count - len(s.Data)
	w.received(e)
}

// Statement returns the payments that happened, oldest first.
func (w *World) Statement() control.Statement {
	w.mu.Lock()
	defer w.mu.Unlock()
	out := w.statement
	out.Data = append([]control.Entry{}, out.Data...)
	return out
}

// Entries returns the payments to a short code between two times (the end excluded), oldest first, at most limit after the first offset.
func (w *World) Entries(shortCode string, from, to time.Time, offset, limit int) []control.Entry {
	w.mu.Lock()
	defer w.mu.Unlock()
	var out []control.Entry
	for _, e := range w.statement.Data {
		if e.ShortCode != shortCode || e.At.Before(from) || !e.At.Before(to) {
			continue
		}
		if offset--; offset >= 0 {
			continue
		}
		if out = append(out, e); len(out) == limit {
			break
		}
	}
	return out
}

// OrgBalanceMinor is what all payments together brought.
func (w *World) OrgBalanceMinor() int64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.statement.TotalMinor
}

// SetScript replaces the global script.
func (w *World) SetScript(s control.Script) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.global = s
}

// Script returns the global script as it was set.
func (w *World) Script() control.Script {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.global
}

// push appends and drops the oldest tenth when full, so that dropping is rare and cheap.
func push[T any](list []T, item T, limit int) []T {
	if len(list) >= limit {
		list = append(list[:0:0], list[limit/10+1:]...)
	}
	return append(list, item)
}
