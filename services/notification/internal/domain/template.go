package domain

import (
	"cmp"
	"embed"
	"fmt"
	"strings"
	"text/template"
	"time"
	"unicode"

	"github.com/google/uuid"

	"github.com/sendtip/sendtip/kit/country"
	"github.com/sendtip/sendtip/kit/money"
)

// Template names what a message says; it is also the `type` that customers see.
type Template string

// The templates: one file per language each.
const (
	OTP                Template = "otp"
	KycVerified        Template = "kyc_verified"
	KycRejected        Template = "kyc_rejected"
	KycReviewNeeded    Template = "kyc_review_needed"
	WalletOpened       Template = "wallet_opened"
	TopupSucceeded     Template = "topup_succeeded"
	TopupFailed        Template = "topup_failed"
	DepositReceived    Template = "deposit_received"
	DepositPaid        Template = "deposit_paid"
	DepositFailed      Template = "deposit_failed"
	DepositExpired     Template = "deposit_expired"
	TransferSent       Template = "transfer_sent"
	TransferReceived   Template = "transfer_received"
	TransferFailed     Template = "transfer_failed"
	WithdrawalPaid     Template = "withdrawal_paid"
	WithdrawalFailed   Template = "withdrawal_failed"
	WithdrawalInDoubt  Template = "withdrawal_in_doubt"
	WithdrawalReturned Template = "withdrawal_returned"
	WithdrawalDelayed  Template = "withdrawal_delayed"
	NumberChanging     Template = "number_changing"
	NumberKept         Template = "number_kept"
	NumberChanged      Template = "number_changed"
	NumberLeft         Template = "number_left"
	NumberClaimed      Template = "number_claimed"
	NumberDisputed     Template = "number_disputed"
	NumberConfirmed    Template = "number_confirmed"
	NumberReleased     Template = "number_released"
	RecoveryStarted    Template = "recovery_started"
	RecoveryEnded      Template = "recovery_ended"
	Recovered          Template = "recovered"
	RequestReceived    Template = "request_received"
	RequestReminded    Template = "request_reminded"
	RequestDeclined    Template = "request_declined"
	RequestExpired     Template = "request_expired"
)

// All lists every template.
var All = []Template{
	OTP, KycVerified, KycRejected, KycReviewNeeded, WalletOpened, TopupSucceeded, TopupFailed, DepositReceived,
	TransferSent, TransferReceived, TransferFailed, WithdrawalPaid, WithdrawalFailed, WithdrawalInDoubt, WithdrawalReturned,
	DepositPaid, DepositFailed, DepositExpired,
	WithdrawalDelayed,
	NumberChanging, NumberKept, NumberChanged, NumberLeft,
	NumberClaimed, NumberDisputed, NumberConfirmed, NumberReleased,
	RecoveryStarted, RecoveryEnded, Recovered,
	RequestReceived, RequestReminded, RequestDeclined, RequestExpired,
}

// HasEmail says whether the message also goes by e-mail. A one-time code proves that somebody holds the phone, and what is said to a number
// that was left is for whoever has it now: they go nowhere else.
func (t Template) HasEmail() bool { return !t.Unowned() }

// Unowned says that the message is for whoever holds a phone, and belongs to no customer: nobody finds it in the app.
func (t Template) Unowned() bool { return t == OTP || t == NumberLeft }

// Languages lists the languages with templates; the first one serves customers of any other.
var Languages = []string{"en", "sw"}

// MaskedCode stands in stored messages where the one-time code was.
const MaskedCode = "******"

// Params are the facts of the event: ids, amounts and codes. They are stored as they are, so nothing personal may join them.
type Params struct {
	Reference  string      `json:"reference,omitempty"` // id of the top-up, deposit or transfer
	Amount     money.Money `json:"amount,omitzero"`
	Fee        money.Money `json:"fee,omitzero"`
	Excise     money.Money `json:"excise,omitzero"`
	Currency   string      `json:"currency,omitempty"`
	Receipt    string      `json:"receipt,omitempty"`
	ReasonCode string      `json:"reason_code,omitempty"`
	Purpose    string      `json:"purpose,omitempty"`
	Tier       int64       `json:"tier,omitempty"`
	Until      time.Time   `json:"until,omitzero"`
	OtherID    uuid.UUID   `json:"other_id,omitzero"` // the other customer, whose masked name the text shows
	Rail       string      `json:"rail,omitempty"`    // that a withdrawal leaves by; "" is M-Pesa
}

// Stored returns the params as they are kept: without the control characters that no column can hold and no text should show, and with
// the currency of an amount of zero, which the stored form leaves out.
func (p Params) Stored() Params {
	for _, text := range []*string{&p.Reference, &p.Currency, &p.Receipt, &p.ReasonCode, &p.Purpose, &p.Rail} {
		*text = strings.Map(func(r rune) rune {
			if unicode.IsControl(r) {
				return -1
			}
			return r
		}, *text)
	}
	if p.Currency == "" && p.Amount.IsZero() {
		p.Currency = p.Amount.Currency
	}
	return p
}

// complete gives amounts of zero their currency back: "0" of no currency is nothing that a customer should read.
func (p Params) complete() Params {
	for _, m := range []*money.Money{&p.Amount, &p.Fee, &p.Excise} {
		if m.Currency == "" {
			m.Currency = cmp.Or(p.Amount.Currency, p.Currency)
		}
	}
	return p
}

// Fill is what a text is made from: the event's facts and what is known of the recipient at the moment of sending.
type Fill struct {
	Params
	OccurredAt time.Time
	FirstName  string
	OtherName  string // masked; empty if that customer has none to show
	Code       string
	ExpiresAt  time.Time
}

// Message is a finished text. Subject is empty for SMS.
type Message struct {
	Subject string `json:"subject,omitempty"`
	Text    string `json:"text"`
}

//go:embed templates
var files embed.FS

// Texts renders messages. It is safe for concurrent use.
type Texts struct {
	brand string
	sets  map[string]map[Template]*template.Template
}

// NewTexts reads all templates; brand is the name that customers know the operator by.
func NewTexts(brand string) (*Texts, error) {
	zone := country.OrDefault("").Zone
	out := &Texts{brand: brand, sets: map[string]map[Template]*template.Template{}}
	for _, language := range Languages {
		out.sets[language] = map[Template]*template.Template{}
		for _, t := range All {
			dir := "templates/" + language + "/"
			set, err := template.New(string(t)).Option("missingkey=error").Funcs(functions(language, zone)).
				ParseFS(files, dir+"layout.tmpl", dir+string(t)+".tmpl")
			if err != nil {
				return nil, fmt.Errorf("template %s/%s: %w", language, t, err)
			}
			out.sets[language][t] = set
		}
	}
	return out, nil
}

// functions are what templates may call. Days and times are numbers only, so they read the same in every language.
func functions(language string, zone *time.Location) template.FuncMap {
	return template.FuncMap{
		"money":  money.Money.Format,
		"when":   func(t time.Time) string { return t.In(zone).Format("02/01/2006 15:04") },
		"clock":  func(t time.Time) string { return t.In(zone).Format("15:04") },
		"ref":    shortReference,
		"reason": func(code string) string { return reason(language, code) },
	}
}

// shortReference is the last block of an id, the part that is random: enough to find an object with its owner's help, short enough to read
// out.
func shortReference(id string) string {
	return strings.ToUpper(id[strings.LastIndexByte(id, '-')+1:])
}

// Render returns the message of a template for a channel, in the customer's language or else in English.
func (x *Texts) Render(t Template, c Channel, language string, f Fill) (Message, error) {
	set, ok := x.sets[baseLanguage(language)][t]
	if !ok {
		return Message{}, fmt.Errorf("no template %q", t)
	}
	f.Params = f.complete()
	f.FirstName = strings.Join(strings.Fields(f.FirstName), " ") // one line, whatever was typed
	f.OtherName = strings.Join(strings.Fields(f.OtherName), " ")
	data := struct {
		Fill
		Brand string
	}{f, x.brand}
	run := func(part string) (string, error) {
		var b strings.Builder
		if err := set.ExecuteTemplate(&b, part, data); err != nil {
			return "", fmt.Errorf("render %s: %w", t, err)
		}
		return b.String(), nil
	}
	if c == SMS {
		text, err := run("sms")
		return Message{Text: text}, err
	}
	subject, err := run("subject")
	if err != nil {
		return Message{}, err
	}
	text, err := run("mail")
	return Message{Subject: subject, Text: text}, err
}

func baseLanguage(tag string) string {
	base, _, _ := strings.Cut(tag, "-")
	for _, known := range Languages {
		if base == known {
			return base
		}
	}
	return Languages[0]
}
