package daraja

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/sendtip/sendtip/sandbox/control"
	"github.com/sendtip/sendtip/sandbox/internal/world"
)

// Kinds of orders; also of the callbacks that bring their results.
const (
	kindB2C      = "b2c"
	kindB2B      = "b2b"
	kindReversal = "reversal"
	kindStatus   = "status"
	kindBalance  = "balance"
)

// maxOrders bounds the orders that are remembered, for duplicates and status queries.
const maxOrders = 200_000

// maxHang is how long an answer that never comes is waited for at most.
const maxHang = 2 * time.Minute

// order is what an initiator asked for and what became of it. Fields below script are guarded by Server.mu once it is taken.
type order struct {
	kind         string
	command      string
	initiator    string
	credential   string
	originator   string
	conversation string
	shortCode    string
	party        string // a phone in E.164, or a short code
	amountMinor  int64
	reference    string
	asked        string // of a status query: conversation or receipt; of a reversal: the receipt
	resultURL    string
	timeoutURL   string
	at           time.Time
	script       control.Script
	queries      string // how status queries about it are answered; "" is as the script says at the time

	code       string // "" while it waits
	receipt    string
	line       control.Movement // what moved, if it did
	parameters []entry          // of the result, in case of success
	closedAt   time.Time
}

// badOrderField names the first field that every order has and Daraja would refuse, "" if all are right.
func badOrderField(in fields, initiatorField string) string {
	_, err := base64.StdEncoding.DecodeString(in.text("SecurityCredential"))
	remarks := utf8.RuneCountInString(in.text("Remarks"))
	switch {
	case in.text(initiatorField) == "":
		return initiatorField
	case err != nil || in.text("SecurityCredential") == "":
		return "SecurityCredential"
	case remarks < 2 || remarks > 100:
		return "Remarks"
	case !callable(in.text("QueueTimeOutURL")):
		return "QueueTimeOutURL"
	case !callable(in.text("ResultURL")):
		return "ResultURL"
	}
	return ""
}

// newOrder reads what all orders have.
func newOrder(kind string, in fields, initiatorField string) *order {
	shillings, _ := strconv.ParseInt(in.text("Amount"), 10, 64) // validated where there is one
	return &order{kind: kind, command: in.text("CommandID"), initiator: in.text(initiatorField), credential: in.text("SecurityCredential"),
		shortCode: in.text("PartyA"), amountMinor: shillings * 100, resultURL: in.text("ResultURL"), timeoutURL: in.text("QueueTimeOutURL")}
}

// take answers an order as its script says and, unless that refuses it, has it carried out.
func (s *Server) take(w http.ResponseWriter, r *http.Request, o *order) {
	switch o.script.OrderAnswer {
	case "busy":
		fail(w, http.StatusInternalServerError, "500.003.02", "System is busy. Please try again in few minutes. Spike Arrest Violation")
		return
	case "throttled":
		write(w, http.StatusTooManyRequests, map[string]any{"fault": map[string]any{"faultstring": "Spike arrest violation. Allowed rate : 5ps",
			"detail": map[string]string{"errorcode": "policies.ratelimit.SpikeArrestViolation"}}})
		return
	case "down":
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	case "error_before":
		fail(w, http.StatusInternalServerError, "500.003.1001", "Internal Server Error")
		return
	}
	switch err := s.register(o); {
	case errors.Is(err, errDuplicate):
		duplicate(w)
		return
	case err != nil:
		fail(w, http.StatusInternalServerError, "500.003.02", "System is busy. Please try again in few minutes.")
		return
	}
	s.world.Go(func(ctx context.Context) { s.carryOut(ctx, o) })
	switch o.script.OrderAnswer {
	case "error":
		fail(w, http.StatusInternalServerError, "500.003.1001", "Internal Server Error")
		return
	case "hang":
		world.Pause(r.Context(), s.world.Scaled(maxHang))
		breakConnection()
	case "lose":
		breakConnection()
	}
	write(w, http.StatusOK, map[string]string{"ConversationID": o.conversation, "OriginatorConversationID": o.originator, "ResponseCode": "0",
		"ResponseDescription": "Accept the service request successfully."})
}

// known reports whether a payout of this id has been taken before.
func (s *Server) known(originator string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.orders[originator] != nil
}

// Why an order is not taken.
var (
	errDuplicate = errors.New("an order with this id was taken before")
	errBusy      = errors.New("too many orders are being carried out")
)

func duplicate(w http.ResponseWriter) {
	fail(w, http.StatusInternalServerError, "500.002.1001", "Duplicate OriginatorConversationID.")
}

// register remembers the order under its ids.
func (s *Server) register(o *order) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.orders[o.originator] != nil: // of two that come at once, too
		return errDuplicate
	case s.waiting >= maxOpen:
		return errBusy
	}
	s.waiting++
	o.at = s.world.Now()
	o.conversation = "AG_" + o.at.In(eat).Format("20060102") + "_" + randomHex(10)
	if o.originator == "" {
		o.originator = newRequestID()
	}
	if len(s.orderIDs) >= maxOrders {
		for _, old := range s.orderIDs[:maxOrders/10] {
			delete(s.orders, old.originator)
			delete(s.orders, old.conversation)
		}
		s.orderIDs = append(s.orderIDs[:0:0], s.orderIDs[maxOrders/10:]...)
	}
	s.orders[o.originator], s.orders[o.conversation] = o, o
	s.orderIDs = append(s.orderIDs, o)
	return nil
}

// carryOut does the order and tells its address, as the script says.
func (s *Server) carryOut(ctx context.Context, o *order) {
	defer func() {
		s.mu.Lock()
		s.waiting--
		s.mu.Unlock()
	}()
	if !world.Pause(ctx, s.opt.ResultDelay) {
		return
	}
	way := o.way()
	if way == "queue_timeout" {
		s.post(ctx, o, "order_timeout", o.timeoutURL, timeoutBody(o), 1, false)
		if !world.Pause(ctx, s.late(o)) {
			return
		}
	}
	s.do(o)
	delay := world.MS(o.script.ResultDelayMS, 0)
	if way == "delay" {
		delay = s.late(o)
	}
	if way != "queue_timeout" && !world.Pause(ctx, delay) {
		return
	}
	s.report(ctx, o, way)
	if o.kind == kindB2C && o.code == "0" && o.script.B2C == "reversed" && world.Pause(ctx, s.late(o)) {
		s.takeBack(o)
	}
}

// way is what happens to the order's result.
func (o *order) way() string {
	if o.kind == kindStatus || o.kind == kindBalance {
		return o.script.QueryResult
	}
	return o.script.Result
}

// late is the delay that a script asks for without naming one.
func (s *Server) late(o *order) time.Duration {
	return world.MS(o.script.ResultDelayMS, s.world.Scaled(lateBy))
}

// do carries the order out: here money moves, or does not.
func (s *Server) do(o *order) {
	code := s.initiator.judge(o.initiator, o.credential)
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.world.Now()
	o.closedAt = now
	if code == "" {
		switch o.kind {
		case kindB2C:
			code = s.payCustomer(o, now)
		case kindB2B:
			code = s.payOrganisation(o, now)
		case kindReversal:
			code = s.giveBack(o, now)
		case kindStatus:
			code = s.lookUp(o)
		case kindBalance:
			code = s.balances(o, now)
		}
	}
	o.code = code
}

// report posts the result.
func (s *Server) report(ctx context.Context, o *order, way string) {
	if way == "lose" {
		s.world.Lose(o.kind, o.originator)
		return
	}
	s.mu.Lock()
	shown := *o
	s.mu.Unlock()
	if way == "forge" || way == "forge_source" {
		s.post(ctx, o, "order_forgery", o.resultURL, s.forgedResult(shown), 1, way == "forge")
	}
	s.post(ctx, o, o.kind, o.resultURL, s.resultBody(shown, way == "alter"), copies(way), false)
}

func (s *Server) post(ctx context.Context, o *order, kind, address string, body []byte, times int, stranger bool) {
	s.world.PostCopies(ctx, world.Callback{Kind: kind, ID: o.originator, URL: address, Body: body, Stranger: stranger,
		ContentType: "application/json;charset=UTF-8"}, times)
}

// money writes an amount as results do: a number, with or without decimals.
func money(minor int64) string {
	sign := ""
	if minor < 0 {
		sign, minor = "-", -minor
	}
	return fmt.Sprintf("%s%d.%02d", sign, minor/100, minor%100)
}
