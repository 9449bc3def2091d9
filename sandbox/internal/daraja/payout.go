package daraja

import (
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/sendtip/sendtip/sandbox/control"
	"github.com/sendtip/sendtip/sandbox/internal/world"
)

const occasionField = "Occassion" //nolint:misspell // Safaricom's spelling, for payments only

// minPayoutShillings is the least that B2C pays.
const minPayoutShillings = 10

var (
	ownID       = regexp.MustCompile(`^[\x21-\x7e]{1,64}$`)
	b2cCommands = []string{"BusinessPayment", "SalaryPayment", "PromotionPayment"}
	b2bCommands = []string{"BusinessPayBill", "BusinessBuyGoods", "BusinessPayToBulk", "BusinessTransferFromMMFToUtility"}
)

// payB2C takes a payment to a customer. Version 3 has an id of the caller's; version 1 has none, and pays twice what is sent twice.
func (s *Server) payB2C(version int) func(http.ResponseWriter, *http.Request, fields) {
	return func(w http.ResponseWriter, r *http.Request, in fields) {
		id := in.text("OriginatorConversationID")
		bad := badOrderField(in, "InitiatorName")
		switch { // in the order of the documents
		case version == 3 && !ownID.MatchString(id):
			bad = "OriginatorConversationID"
		case bad != "":
		case !slices.Contains(b2cCommands, in.text("CommandID")):
			bad = "CommandID"
		case !whole.MatchString(in.text("Amount")):
			bad = "Amount"
		case !shortCode.MatchString(in.text("PartyA")) || !s.knows(in.text("PartyA")):
			bad = "PartyA"
		case !kenyan.MatchString(in.text("PartyB")):
			bad = "PartyB"
		case utf8.RuneCountInString(in.text(occasionField))+utf8.RuneCountInString(in.text("Occasion")) > 100:
			bad = occasionField
		}
		if bad != "" {
			invalidField(w, bad)
			return
		}
		if version == 3 && s.known(id) { // before a queued script is used up
			duplicate(w)
			return
		}
		o := newOrder(kindB2C, in, "InitiatorName")
		o.party = "+" + in.text("PartyB")
		if version == 3 {
			o.originator = id
		}
		s.world.Touch(o.party)
		var queued control.Script
		o.script, queued = s.world.PayoutScript(o.party)
		o.queries = queued.QueryResult
		s.take(w, r, o)
	}
}

// payCustomer moves the money of a payout. Callers hold mu.
func (s *Server) payCustomer(o *order, now time.Time) string {
	shillings := o.amountMinor / 100
	switch code, scripted := strings.CutPrefix(o.script.B2C, "code:"); {
	case scripted && code != "0":
		return code
	case o.script.B2C == "insufficient":
		return "1"
	case o.script.B2C == "unregistered":
		return "2040"
	case shillings < minPayoutShillings:
		return "2"
	case shillings > maxShillings:
		return "3"
	}
	charge, receipt := b2cCharge(now, shillings), s.receipts.make(now)
	line, left, err := s.world.PayOut(o.shortCode, control.Movement{Receipt: receipt, Kind: kindB2C, AmountMinor: o.amountMinor,
		ChargeMinor: charge, Party: o.party, Originator: o.originator, ConversationID: o.conversation, At: now})
	if err != nil {
		return codeOf(err)
	}
	o.receipt, o.line = receipt, line
	s.world.Deliver(o.party, "MPESA", fmt.Sprintf("%s Confirmed. You have received Ksh%d.00 from SENDTIP (%s) on %s. "+
		"New M-PESA balance is Ksh%s.", receipt, shillings, o.shortCode, now.In(eat).Format("2/1/06 at 3:04 PM"), money(left)))
	now = now.In(eat)
	books := s.world.Organisation(o.shortCode)
	first, last := world.Name(o.party)
	o.parameters = []entry{
		{"TransactionAmount", number(o.amountMinor)}, {"TransactionReceipt", receipt},
		{"ReceiverPartyPublicName", o.party[1:] + " - " + first + " " + last},
		{"TransactionCompletedDateTime", now.Format("02.01.2006 15:04:05")}, {"B2CUtilityAccountAvailableFunds", number(books.UtilityMinor)},
		{"B2CWorkingAccountAvailableFunds", number(books.WorkingMinor)}, {"B2CRecipientIsRegisteredCustomer", "Y"},
		{"B2CChargesPaidAccountAvailableFunds", number(books.ChargesMinor)},
	}
	return "0"
}

// codeOf is the result code of what M-Pesa refuses.
func codeOf(err error) string {
	switch {
	case errors.Is(err, world.ErrNoFloat):
		return "1"
	case errors.Is(err, world.ErrWalletFull):
		return "8"
	case errors.Is(err, world.ErrReversed):
		return "R000001"
	}
	return "R000002"
}

// takeBack is Safaricom's staff undoing a payout by hand.
func (s *Server) takeBack(o *order) {
	now := s.world.Now()
	s.mu.Lock()
	receipt := s.receipts.make(now)
	s.mu.Unlock()
	left, err := s.world.TakeBack(o.shortCode, control.Movement{Receipt: receipt, Kind: "reversed_b2c", AmountMinor: o.amountMinor,
		Party: o.party, Originator: o.originator, ConversationID: o.conversation, Original: o.receipt, At: now})
	if err == nil {
		s.world.Deliver(o.party, "MPESA", fmt.Sprintf("%s Confirmed. Transaction %s of Ksh%d.00 has been reversed. New M-PESA balance is Ksh%s.",
			receipt, o.receipt, o.amountMinor/100, money(left)))
	}
}

// payB2B takes a payment to a short code.
func (s *Server) payB2B(w http.ResponseWriter, r *http.Request, in fields) {
	kind := in.text("RecieverIdentifierType")
	bad := badOrderField(in, "Initiator")
	requester := in.text("Requester")
	switch {
	case bad != "":
	case !slices.Contains(b2bCommands, in.text("CommandID")):
		bad = "CommandID"
	case in.text("SenderIdentifierType") != "4":
		bad = "SenderIdentifierType"
	case kind != "1" && kind != "2" && kind != "4":
		bad = "RecieverIdentifierType"
	case !whole.MatchString(in.text("Amount")):
		bad = "Amount"
	case !shortCode.MatchString(in.text("PartyA")) || !s.knows(in.text("PartyA")):
		bad = "PartyA"
	case !shortCode.MatchString(in.text("PartyB")):
		bad = "PartyB"
	case utf8.RuneCountInString(in.text("AccountReference")) > 13:
		bad = "AccountReference"
	case requester != "" && !kenyan.MatchString(requester):
		bad = "Requester"
	}
	if bad != "" {
		invalidField(w, bad)
		return
	}
	o := newOrder(kindB2B, in, "Initiator")
	o.party, o.reference = in.text("PartyB"), in.text("AccountReference")
	o.script = s.world.OrderScript(o.shortCode, "", "")
	s.take(w, r, o)
}

// payOrganisation moves money from the Working account to another short code's Utility account. Callers hold mu.
func (s *Server) payOrganisation(o *order, now time.Time) string {
	if !s.knows(o.party) {
		return "SFC_IC0003"
	}
	kind := kindB2B
	if o.command == "BusinessPayToBulk" || o.command == "BusinessTransferFromMMFToUtility" {
		kind = "float"
	}
	receipt := s.receipts.make(now)
	line, err := s.world.Transfer(o.shortCode, world.Working, o.party, world.Utility, control.Movement{Receipt: receipt, Kind: kind,
		AmountMinor: o.amountMinor, Originator: o.originator, ConversationID: o.conversation, AccountReference: o.reference, At: now})
	if err != nil {
		return codeOf(err)
	}
	o.receipt, o.line = receipt, line
	o.parameters = []entry{
		{"DebitAccountBalance", javaMap(line.BalanceMinor)}, {"Amount", number(o.amountMinor)},
		{"DebitPartyAffectedAccountBalance", "Working Account|KES|" + strings.Repeat(money(line.BalanceMinor)+"|", 2) + "0.00|0.00"},
		{"TransCompletedTime", stamp(now)}, {"DebitPartyCharges", nil}, {"ReceiverPartyPublicName", o.party + " - SENDTIP"},
		{"Currency", "KES"}, {"InitiatorAccountCurrentBalance", javaMap(line.BalanceMinor)},
	}
	return "0"
}

// javaMap is how some balances are printed.
func javaMap(minor int64) string {
	return fmt.Sprintf("{Amount={CurrencyCode=KES, MinimumAmount=%s, BasicAmount=%s}}", strconv.FormatInt(minor, 10), money(minor))
}
