package daraja

import (
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"time"

	"github.com/sendtip/sendtip/sandbox/control"
	"github.com/sendtip/sendtip/sandbox/internal/world"
)

// codeBadQuery is the result of a query about what does not exist; the documents only say "bad parameters".
const codeBadQuery = "25"

var receipts = regexp.MustCompile(`^[A-Z0-9]{10}$`)

// queryStatus takes the question what became of a transaction.
func (s *Server) queryStatus(w http.ResponseWriter, r *http.Request, in fields) {
	conversation := in.text("OriginalConversationID")
	if conversation == "" {
		conversation = in.text("OriginatorConversationID") // its name in older documents
	}
	_, named := in["TransactionID"]
	receipt := strings.ToUpper(in.text("TransactionID"))
	bad := badOrderField(in, "Initiator")
	switch {
	case bad != "":
	case in.text("CommandID") != "TransactionStatusQuery":
		bad = "CommandID"
	case (named || conversation == "") && !receipts.MatchString(receipt):
		bad = "TransactionID"
	case in.text("IdentifierType") != "4":
		bad = "IdentifierType"
	case !shortCode.MatchString(in.text("PartyA")) || !s.knows(in.text("PartyA")):
		bad = "PartyA"
	}
	if bad != "" {
		invalidField(w, bad)
		return
	}
	o := newOrder(kindStatus, in, "Initiator")
	o.asked = receipt
	if receipt == "" {
		o.asked = conversation
	}
	about := s.find(o.shortCode, o.asked)
	phone := ""
	if strings.HasPrefix(about.party, "+") {
		phone = about.party
	}
	o.script = s.world.OrderScript(o.shortCode, phone, "")
	if about.queries != "" {
		o.script.QueryResult = about.queries
	}
	s.take(w, r, o)
}

// find is the order or the customer's payment of that name; the zero order if there is none.
func (s *Server) find(code, asked string) order {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.findLocked(code, asked)
}

// findLocked is find for callers that hold mu.
func (s *Server) findLocked(code, asked string) order {
	if o := s.orders[asked]; o != nil && o.shortCode == code && o.kind != kindStatus && o.kind != kindBalance {
		return *o
	}
	m, ok := s.world.Movement(code, asked)
	if !ok {
		return order{}
	}
	if o := s.orders[m.Originator]; o != nil && o.receipt == asked {
		return *o
	}
	minor := m.AmountMinor
	if minor < 0 {
		minor = -minor
	}
	return order{kind: m.Kind, shortCode: code, party: m.Party, amountMinor: minor, receipt: m.Receipt, code: "0", at: m.At, closedAt: m.At,
		originator: m.Originator, conversation: m.ConversationID, line: m}
}

// states are what orders look like from outside: failed ones were declined, those that wait are under way.
func (o *order) state() string {
	switch o.code {
	case "":
		return "Initiated"
	case "0":
		return "Completed"
	}
	return "Declined"
}

// lookUp answers a status query. Callers hold mu.
func (s *Server) lookUp(o *order) string {
	if o.script.QueryResult == "fail" {
		return codeBadQuery
	}
	about := s.findLocked(o.shortCode, o.asked)
	if about.kind == "" {
		return codeBadQuery
	}
	own, other := about.shortCode+" - SENDTIP", about.party
	if strings.HasPrefix(other, "+") {
		first, last := world.Name(other)
		other = other[1:] + " - " + first + " " + last
	} else {
		other += " - SENDTIP"
	}
	from, to, account := own, other, "Utility Account"
	switch about.kind {
	case "stk", "c2b":
		from, to, account = other, own, "MMF Account For Customer"
	case kindB2B:
		account = "Working Account"
	}
	receipt, charges := about.receipt, any(nil)
	if receipt == "" {
		receipt = placeholderReceipt(about.at)
	}
	if about.line.ChargeMinor > 0 {
		charges = "Fee For B2C Payment|KES|" + money(about.line.ChargeMinor)
	}
	o.receipt = placeholderReceipt(o.closedAt)
	o.parameters = []entry{
		{"DebitPartyName", from}, {"CreditPartyName", to}, {"OriginatorConversationID", about.originator},
		{"InitiatedTime", stamp(about.at)}, {"DebitAccountType", account}, {"DebitPartyCharges", charges}, {"TransactionReason", nil},
		{"ReasonType", "Business Payment to Customer via API"}, {"TransactionStatus", about.state()}, {"Amount", number(about.amountMinor)},
		{"ConversationID", about.conversation}, {"ReceiptNo", receipt},
	}
	if about.code != "" {
		o.parameters = append(o.parameters, entry{"FinalisedTime", stamp(about.closedAt)})
	}
	return "0"
}

// queryBalance takes the question what a short code's accounts hold.
func (s *Server) queryBalance(w http.ResponseWriter, r *http.Request, in fields) {
	bad := badOrderField(in, "Initiator")
	switch {
	case bad != "":
	case in.text("CommandID") != "AccountBalance":
		bad = "CommandID"
	case in.text("IdentifierType") != "4":
		bad = "IdentifierType"
	case !shortCode.MatchString(in.text("PartyA")) || !s.knows(in.text("PartyA")):
		bad = "PartyA"
	}
	if bad != "" {
		invalidField(w, bad)
		return
	}
	o := newOrder(kindBalance, in, "Initiator")
	o.script = s.world.OrderScript(o.shortCode, "", "")
	s.take(w, r, o)
}

// balances answers a balance query. Callers hold mu.
func (s *Server) balances(o *order, now time.Time) string {
	if o.script.QueryResult == "fail" {
		return codeBadQuery
	}
	books := s.world.Organisation(o.shortCode)
	account := func(name string, minor int64) string {
		return fmt.Sprintf("%s|KES|%s|%s|0.00|0.00", name, money(minor), money(minor))
	}
	o.receipt = placeholderReceipt(now)
	o.parameters = []entry{
		{"AccountBalance", strings.Join([]string{account("Working Account", books.WorkingMinor), account("Float Account", 0),
			account("Utility Account", books.UtilityMinor), account("Charges Paid Account", books.ChargesMinor),
			account("Organization Settlement Account", 0)}, "&")},
		{"BOCompletedTime", stamp(now)},
	}
	return "0"
}

// reverse takes the order to give a customer's payment back.
func (s *Server) reverse(w http.ResponseWriter, r *http.Request, in fields) {
	bad := badOrderField(in, "Initiator")
	code := in.text("ReceiverParty")
	receipt := strings.ToUpper(in.text("TransactionID"))
	switch {
	case bad != "":
	case in.text("CommandID") != "TransactionReversal":
		bad = "CommandID"
	case receipt == "" || len(receipt) > 20:
		bad = "TransactionID"
	case !whole.MatchString(in.text("Amount")):
		bad = "Amount"
	case !shortCode.MatchString(code) || !s.knows(code):
		bad = "ReceiverParty"
	case in.text("RecieverIdentifierType") != "11":
		bad = "RecieverIdentifierType"
	}
	if bad != "" {
		invalidField(w, bad)
		return
	}
	o := newOrder(kindReversal, in, "Initiator")
	o.shortCode, o.asked = code, receipt
	o.party = s.find(code, receipt).party
	o.script = s.world.OrderScript(code, o.party, world.Reversal)
	s.take(w, r, o)
}

// giveBack moves a customer's payment back. Callers hold mu.
func (s *Server) giveBack(o *order, now time.Time) string {
	receipt := s.receipts.make(now)
	line, left, err := s.world.Reverse(o.shortCode, control.Movement{Receipt: receipt, AmountMinor: o.amountMinor, Original: o.asked,
		Originator: o.originator, ConversationID: o.conversation, At: now})
	if err != nil {
		return codeOf(err)
	}
	o.receipt, o.line, o.party = receipt, line, line.Party
	s.world.Deliver(o.party, "MPESA", fmt.Sprintf("%s Confirmed. Transaction %s has been reversed. Ksh%d.00 is credited to your "+
		"M-PESA account. New M-PESA balance is Ksh%s.", receipt, o.asked, o.amountMinor/100, money(left)))
	first, last := world.Name(o.party)
	o.parameters = []entry{
		{"DebitAccountBalance", "Utility Account|KES|" + strings.Repeat(money(line.BalanceMinor)+"|", 2) + "0.00|0.00"},
		{"Amount", number(o.amountMinor)}, {"TransCompletedTime", stamp(now)}, {"OriginalTransactionID", o.asked}, {"Charge", number(0)},
		{"CreditPartyPublicName", o.party[1:] + " - " + first + " " + last}, {"DebitPartyPublicName", o.shortCode + " - SENDTIP"},
	}
	return "0"
}
