package main

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/google/uuid"
)

// amountMinor is what each transfer moves, in minor units of KES.
const amountMinor = "100"

// kind is a round of the table.
type kind struct {
	name    string
	title   string
	clients int
	per     int  // transactions in each request
	hot     bool // one source account for all
	holds   bool // a hold, then its capture, in turn
	gateway bool // through the gateway's internal listener, else directly at the service
}

var kinds = []kind{
	{name: "hot", title: "single, one source account for all", clients: 64, per: 1, hot: true},
	{name: "unique", title: "single, accounts at random", clients: 64, per: 1},
	{name: "hot256", title: "single, one source account for all", clients: 256, per: 1, hot: true},
	{name: "unique256", title: "single, accounts at random", clients: 256, per: 1},
	{name: "batch", title: "100 transactions a request, accounts at random", clients: 8, per: 100},
	{name: "holds", title: "hold, then capture", clients: 64, per: 1, holds: true},
	{name: "gateway-hot", title: "single, one source account for all", clients: 64, per: 1, hot: true, gateway: true},
	{name: "gateway-unique", title: "single, accounts at random", clients: 64, per: 1, gateway: true},
}

func roundNames() (names []string) {
	for _, k := range kinds {
		names = append(names, k.name)
	}
	return names
}

// selectRounds returns the named rounds in the order of the table; without names all.
func selectRounds(list string) ([]kind, error) {
	if list == "" {
		return kinds, nil
	}
	names := strings.Split(list, ",")
	for _, n := range names {
		if !slices.Contains(roundNames(), n) {
			return nil, fmt.Errorf("there is no round %q: choose of %s", n, strings.Join(roundNames(), ","))
		}
	}
	return slices.DeleteFunc(slices.Clone(kinds), func(k kind) bool { return !slices.Contains(names, k.name) }), nil
}

// writer makes the bodies of one client.
type writer struct {
	k    kind
	f    *field
	body []byte
	held []byte // id of the hold to capture next
}

// next makes the body of the next request; it is valid until the one after.
func (w *writer) next() []byte {
	b := append(w.body[:0], `{"transactions":[`...)
	for i := range w.k.per {
		if i > 0 {
			b = append(b, ',')
		}
		b = w.transaction(b)
	}
	w.body = append(b, `]}`...)
	return w.body
}

func (w *writer) transaction(b []byte) []byte {
	b = append(b, `{"reference":"`...)
	b = appendUUID(b, uuid.Must(uuid.NewV7())) // as a caller's row id: in the order of time
	if w.held != nil {
		b = append(b, `:capture","action":"capture","type":"withdrawal","channel":"internal","hold_id":"`...)
		b = append(b, w.held...)
		return append(b, `"}`...)
	}
	if w.k.holds {
		b = append(b, `:hold","action":"hold","type":"withdrawal"`...)
	} else {
		b = append(b, `:post","action":"post","type":"transfer"`...)
	}
	source, destination := w.accounts()
	b = append(b, `,"channel":"internal","postings":[{"source":"`...)
	b = append(b, source...)
	b = append(b, `","destination":"`...)
	b = append(b, destination...)
	return append(b, `","amount":{"amount":`+amountMinor+`,"currency":"KES"}}]}`...)
}

func (w *writer) accounts() (source, destination string) {
	all := w.f.accounts
	i := rand.IntN(len(all)) // #nosec G404 -- a load, no secret
	if w.k.hot {
		return w.f.hot.text, all[i].text
	}
	j := rand.IntN(len(all) - 1) // #nosec G404 -- a load, no secret
	if j >= i {
		j++ // an account cannot pay itself
	}
	return all[i].text, all[j].text
}

const hexDigits = "0123456789abcdef"

func appendUUID(b []byte, id uuid.UUID) []byte {
	for i, c := range id {
		if i == 4 || i == 6 || i == 8 || i == 10 {
			b = append(b, '-')
		}
		b = append(b, hexDigits[c>>4], hexDigits[c&15])
	}
	return b
}
