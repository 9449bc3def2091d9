package domain_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
	"unicode/utf16"

	"github.com/google/uuid"

	"github.com/sendtip/sendtip/kit/money"

	"github.com/sendtip/sendtip/services/notification/internal/domain"
)

const id = "01937c5e-8a40-7c1b-9d7e-3f6b2a1c0d4e"

var other = uuid.MustParse("01937c5e-8a40-7c1b-9d7e-3f6b2a1c0d4f")

func kes(minor int64) money.Money { return money.Money{Amount: minor, Currency: "KES"} }

// facts are the params of each template; at is 12:30 in Nairobi.
var (
	at    = time.Date(2026, 11, 23, 9, 30, 0, 0, time.UTC)
	facts = map[domain.Template]domain.Params{
		domain.OTP:                {Purpose: "login"},
		domain.KycVerified:        {Tier: 1},
		domain.KycRejected:        {ReasonCode: "face_mismatch"},
		domain.KycReviewNeeded:    {},
		domain.WalletOpened:       {Currency: "KES"},
		domain.TopupSucceeded:     {Reference: id, Amount: kes(25000), Receipt: "SKL1A2B3C4"},
		domain.TopupFailed:        {Reference: id, Amount: kes(25000), ReasonCode: "cancelled_by_customer"},
		domain.DepositReceived:    {Reference: id, Amount: kes(50000), Receipt: "SKL1A2B3C5"},
		domain.DepositPaid:        {Reference: id, Amount: kes(100000), Fee: kes(1500), Excise: kes(225), Receipt: "PS0000001A"},
		domain.DepositFailed:      {Reference: id, Amount: kes(100000), ReasonCode: "payment_declined"},
		domain.DepositExpired:     {Reference: id, Amount: kes(100000)},
		domain.TransferSent:       {Reference: id, Amount: kes(100000), Fee: kes(2300), Excise: kes(345)},
		domain.TransferReceived:   {Reference: id, Amount: kes(100000)},
		domain.TransferFailed:     {Reference: id, Amount: kes(100000), ReasonCode: "insufficient_funds"},
		domain.WithdrawalPaid:     {Reference: id, Amount: kes(100000), Fee: kes(1500), Excise: kes(225), Receipt: "SKL1A2B3C6"},
		domain.WithdrawalFailed:   {Reference: id, Amount: kes(100000), ReasonCode: "receiver_not_registered"},
		domain.WithdrawalInDoubt:  {Reference: id, Amount: kes(100000)},
		domain.WithdrawalDelayed:  {Reference: id, Amount: kes(100000)},
		domain.WithdrawalReturned: {Reference: id, Amount: kes(100000), ReasonCode: "rail_did_not_pay"},
		domain.NumberChanging:     {},
		domain.NumberKept:         {ReasonCode: "customer"},
		domain.NumberChanged:      {},
		domain.NumberLeft:         {},
		domain.NumberClaimed:      {Reference: id, Until: at.Add(7 * 24 * time.Hour)},
		domain.NumberDisputed:     {Reference: id},
		domain.NumberConfirmed:    {Reference: id},
		domain.NumberReleased:     {Reference: id},
		domain.RecoveryStarted:    {},
		domain.RecoveryEnded:      {},
		domain.Recovered:          {},
		domain.RequestReceived:    {Reference: id, Amount: kes(50000), Until: at.Add(7 * 24 * time.Hour), OtherID: other},
		domain.RequestReminded:    {Reference: id, Amount: kes(50000), Until: at.Add(7 * 24 * time.Hour), OtherID: other},
		domain.RequestDeclined:    {Reference: id, Amount: kes(50000), Until: at.Add(7 * 24 * time.Hour), OtherID: other},
		domain.RequestExpired:     {Reference: id, Amount: kes(50000), Until: at.Add(7 * 24 * time.Hour), OtherID: other},
	}
)

func fill(p domain.Params) domain.Fill {
	f := domain.Fill{Params: p, OccurredAt: at, FirstName: "Amina", Code: "482913", ExpiresAt: at.Add(5 * time.Minute)}
	if p.OtherID != uuid.Nil {
		f.OtherName = "Brian O."
	}
	return f
}

// golden is every message in every language, as a customer named Amina gets it on 23 November 2026 at 12:30 in Nairobi.
var golden = []struct {
	language string
	template domain.Template
	sms      string
	subject  string
	email    string // without greeting and closing
}{
	{
		language: "en", template: domain.OTP,
		sms: "SENDTIP: Your sign-in code is 482913, valid until 12:35. Never share it with anyone; our staff will never ask for it.",
	},
	{
		language: "en", template: domain.KycVerified,
		sms:     "SENDTIP: Your identity has been verified (tier 1). You can now use your wallet.",
		subject: "Your identity has been verified",
		email:   "Your identity has been verified (tier 1). You can now use your wallet.",
	},
	{
		language: "en", template: domain.KycRejected,
		sms:     "SENDTIP: We could not verify your identity: the photo does not match the ID. Please open the app and try again.",
		subject: "We could not verify your identity",
		email:   "We could not verify your identity: the photo does not match the ID. Please open the app and try again.",
	},
	{
		language: "en", template: domain.KycReviewNeeded,
		sms:     "SENDTIP: Our team is reviewing your documents. We will let you know the outcome; you do not need to do anything.",
		subject: "We are reviewing your documents",
		email:   "Our team is reviewing your documents. We will let you know the outcome; you do not need to do anything.",
	},
	{
		language: "en", template: domain.WalletOpened,
		sms:     "SENDTIP: Your KES wallet is open.",
		subject: "Your KES wallet is open",
		email:   "Your KES wallet was opened on 23/11/2026 12:30.",
	},
	{
		language: "en", template: domain.TopupSucceeded,
		sms:     "SENDTIP: KES 250.00 was added to your wallet on 23/11/2026 12:30. Receipt SKL1A2B3C4. Ref 3F6B2A1C0D4E.",
		subject: "Top-up of KES 250.00",
		email: "Your wallet has been topped up.\n\nAmount: KES 250.00\nDate: 23/11/2026 12:30\nReceipt: SKL1A2B3C4\nReference: " +
			"01937c5e-8a40-7c1b-9d7e-3f6b2a1c0d4e",
	},
	{
		language: "en", template: domain.TopupFailed,
		sms:     "SENDTIP: Your top-up of KES 250.00 did not go through: it was cancelled on the phone. No money was added to your wallet.",
		subject: "Top-up of KES 250.00 did not go through",
		email: "Your top-up of KES 250.00 on 23/11/2026 12:30 did not go through: it was cancelled on the phone. No money was added to your " +
			"wallet.\n\nReference: 01937c5e-8a40-7c1b-9d7e-3f6b2a1c0d4e",
	},
	{
		language: "en", template: domain.DepositReceived,
		sms:     "SENDTIP: We received your deposit of KES 500.00 on 23/11/2026 12:30. Receipt SKL1A2B3C5.",
		subject: "Deposit of KES 500.00",
		email: "Your deposit has been added to your wallet.\n\nAmount: KES 500.00\nDate: 23/11/2026 12:30\nReceipt: SKL1A2B3C5\nReference: " +
			"01937c5e-8a40-7c1b-9d7e-3f6b2a1c0d4e",
	},
	{
		language: "en", template: domain.TransferSent,
		sms:     "SENDTIP: You sent KES 1,000.00 on 23/11/2026 12:30. Fee KES 23.00, excise duty KES 3.45. Ref 3F6B2A1C0D4E.",
		subject: "You sent KES 1,000.00",
		email: "You have sent money.\n\nAmount: KES 1,000.00\nFee: KES 23.00\nExcise duty: KES 3.45\nDate: 23/11/2026 12:30\nReference: " +
			"01937c5e-8a40-7c1b-9d7e-3f6b2a1c0d4e",
	},
	{
		language: "en", template: domain.TransferReceived,
		sms:     "SENDTIP: You received KES 1,000.00 on 23/11/2026 12:30. Ref 3F6B2A1C0D4E.",
		subject: "You received KES 1,000.00",
		email:   "You have received money.\n\nAmount: KES 1,000.00\nDate: 23/11/2026 12:30\nReference: 01937c5e-8a40-7c1b-9d7e-3f6b2a1c0d4e",
	},
	{
		language: "en", template: domain.TransferFailed,
		sms: "SENDTIP: Your transfer of KES 1,000.00 did not go through: your balance was too low. No money left your wallet. Ref " +
			"3F6B2A1C0D4E.",
		subject: "Transfer of KES 1,000.00 did not go through",
		email: "Your transfer of KES 1,000.00 on 23/11/2026 12:30 did not go through: your balance was too low. No money left your " +
			"wallet.\n\nReference: 01937c5e-8a40-7c1b-9d7e-3f6b2a1c0d4e",
	},
	{
		language: "sw", template: domain.OTP,
		sms: "SENDTIP: Msimbo wako wa kuingia ni 482913, unatumika hadi 12:35. Usimpe mtu yeyote msimbo huu, hata wafanyakazi wetu.",
	},
	{
		language: "sw", template: domain.KycVerified,
		sms:     "SENDTIP: Utambulisho wako umethibitishwa (daraja la 1). Sasa unaweza kutumia pochi yako.",
		subject: "Utambulisho wako umethibitishwa",
		email:   "Utambulisho wako umethibitishwa (daraja la 1). Sasa unaweza kutumia pochi yako.",
	},
	{
		language: "sw", template: domain.KycRejected,
		sms:     "SENDTIP: Hatukuweza kuthibitisha utambulisho wako: picha hailingani na kitambulisho. Tafadhali fungua app ujaribu tena.",
		subject: "Hatukuweza kuthibitisha utambulisho wako",
		email:   "Hatukuweza kuthibitisha utambulisho wako: picha hailingani na kitambulisho. Tafadhali fungua app ujaribu tena.",
	},
	{
		language: "sw", template: domain.KycReviewNeeded,
		sms:     "SENDTIP: Maafisa wetu wanakagua hati zako. Tutakujulisha matokeo; huhitaji kufanya chochote.",
		subject: "Tunakagua hati zako",
		email:   "Maafisa wetu wanakagua hati zako. Tutakujulisha matokeo; huhitaji kufanya chochote.",
	},
	{
		language: "sw", template: domain.WalletOpened,
		sms:     "SENDTIP: Pochi yako ya KES imefunguliwa.",
		subject: "Pochi yako ya KES imefunguliwa",
		email:   "Pochi yako ya KES imefunguliwa tarehe 23/11/2026 12:30.",
	},
	{
		language: "sw", template: domain.TopupSucceeded,
		sms:     "SENDTIP: Umeongeza KES 250.00 kwenye pochi yako tarehe 23/11/2026 12:30. Risiti SKL1A2B3C4. Kumb. 3F6B2A1C0D4E.",
		subject: "Umeongeza KES 250.00",
		email: "Pesa zimeongezwa kwenye pochi yako.\n\nKiasi: KES 250.00\nTarehe: 23/11/2026 12:30\nRisiti: SKL1A2B3C4\nNambari ya " +
			"kumbukumbu: 01937c5e-8a40-7c1b-9d7e-3f6b2a1c0d4e",
	},
	{
		language: "sw", template: domain.TopupFailed,
		sms:     "SENDTIP: Ombi la kuongeza KES 250.00 halikufaulu: lilighairiwa kwenye simu. Hakuna pesa zilizoongezwa kwenye pochi yako.",
		subject: "Ombi la kuongeza KES 250.00 halikufaulu",
		email: "Ombi la kuongeza KES 250.00 tarehe 23/11/2026 12:30 halikufaulu: lilighairiwa kwenye simu. Hakuna pesa zilizoongezwa kwenye " +
			"pochi yako.\n\nNambari ya kumbukumbu: 01937c5e-8a40-7c1b-9d7e-3f6b2a1c0d4e",
	},
	{
		language: "sw", template: domain.DepositReceived,
		sms:     "SENDTIP: KES 500.00 zimewekwa kwenye pochi yako tarehe 23/11/2026 12:30. Risiti SKL1A2B3C5.",
		subject: "KES 500.00 zimewekwa kwenye pochi yako",
		email: "Pesa zimewekwa kwenye pochi yako.\n\nKiasi: KES 500.00\nTarehe: 23/11/2026 12:30\nRisiti: SKL1A2B3C5\nNambari ya kumbukumbu: " +
			"01937c5e-8a40-7c1b-9d7e-3f6b2a1c0d4e",
	},
	{
		language: "sw", template: domain.TransferSent,
		sms:     "SENDTIP: Umetuma KES 1,000.00 tarehe 23/11/2026 12:30. Ada KES 23.00, ushuru wa bidhaa KES 3.45. Kumb. 3F6B2A1C0D4E.",
		subject: "Umetuma KES 1,000.00",
		email: "Umetuma pesa.\n\nKiasi: KES 1,000.00\nAda: KES 23.00\nUshuru wa bidhaa: KES 3.45\nTarehe: 23/11/2026 12:30\nNambari ya " +
			"kumbukumbu: 01937c5e-8a40-7c1b-9d7e-3f6b2a1c0d4e",
	},
	{
		language: "sw", template: domain.TransferReceived,
		sms:     "SENDTIP: Umepokea KES 1,000.00 tarehe 23/11/2026 12:30. Kumb. 3F6B2A1C0D4E.",
		subject: "Umepokea KES 1,000.00",
		email:   "Umepokea pesa.\n\nKiasi: KES 1,000.00\nTarehe: 23/11/2026 12:30\nNambari ya kumbukumbu: 01937c5e-8a40-7c1b-9d7e-3f6b2a1c0d4e",
	},
	{
		language: "sw", template: domain.TransferFailed,
		sms: "SENDTIP: Ombi la kutuma KES 1,000.00 halikufaulu: salio lako halikutosha. Hakuna pesa zilizotoka kwenye pochi yako. Kumb. " +
			"3F6B2A1C0D4E.",
		subject: "Ombi la kutuma KES 1,000.00 halikufaulu",
		email: "Ombi la kutuma KES 1,000.00 tarehe 23/11/2026 12:30 halikufaulu: salio lako halikutosha. Hakuna pesa zilizotoka kwenye pochi " +
			"yako.\n\nNambari ya kumbukumbu: 01937c5e-8a40-7c1b-9d7e-3f6b2a1c0d4e",
	},
	{
		language: "en", template: domain.NumberChanging,
		sms:     "SENDTIP: Your account will get another phone number in 24 hours. If you did not ask for this, cancel it in the app now.",
		subject: "Your phone number will change",
		email: "Your account will get another phone number in 24 hours. If you did not ask for this, open the app now and cancel the change: " +
			"every device of yours can do so.",
	},
	{
		language: "en", template: domain.WithdrawalPaid,
		sms:     "SENDTIP: You withdrew KES 1,000.00 on 23/11/2026 12:30. Fee KES 15.00, excise duty KES 2.25. Receipt SKL1A2B3C6.",
		subject: "You withdrew KES 1,000.00",
		email: "Your withdrawal has been paid.\n\nAmount: KES 1,000.00\nFee: KES 15.00\nExcise duty: KES 2.25\nDate: 23/11/2026 12:30\n" +
			"Receipt: SKL1A2B3C6\nReference: 01937c5e-8a40-7c1b-9d7e-3f6b2a1c0d4e",
	},
	{
		language: "en", template: domain.DepositPaid,
		sms: "SENDTIP: Deposited KES 1,000.00 on 23/11/2026 12:30. Fee KES 15.00, excise duty KES 2.25. Receipt " +
			"PS0000001A.",
		subject: "Deposit of KES 1,000.00",
		email: "Your deposit has been added to your wallet.\n\nAmount: KES 1,000.00\nFee: KES 15.00\nExcise duty: KES 2.25\n" +
			"Date: 23/11/2026 12:30\nReceipt: PS0000001A\nReference: 01937c5e-8a40-7c1b-9d7e-3f6b2a1c0d4e",
	},
	{
		language: "en", template: domain.DepositFailed,
		sms:     "SENDTIP: Your deposit of KES 1,000.00 did not go through: the payment was declined. No money was added to your wallet.",
		subject: "Deposit of KES 1,000.00 did not go through",
		email: "Your deposit of KES 1,000.00 on 23/11/2026 12:30 did not go through: the payment was declined. No money was added to your " +
			"wallet.\n\nReference: 01937c5e-8a40-7c1b-9d7e-3f6b2a1c0d4e",
	},
	{
		language: "en", template: domain.DepositExpired,
		sms: "SENDTIP: Your deposit of KES 1,000.00 was not paid in time. If you have paid, the money is added as soon as we hear of it. " +
			"Ref 3F6B2A1C0D4E.",
		subject: "Deposit of KES 1,000.00 was not paid in time",
		email: "Your deposit of KES 1,000.00 was not paid in time. If you have paid, the money is added to your wallet as soon as we hear " +
			"of it.\n\nReference: 01937c5e-8a40-7c1b-9d7e-3f6b2a1c0d4e",
	},
	{
		language: "sw", template: domain.DepositPaid,
		sms: "SENDTIP: Umeweka KES 1,000.00 tarehe 23/11/2026 12:30. Ada KES 15.00, ushuru KES 2.25. Risiti " +
			"PS0000001A.",
		subject: "Umeweka KES 1,000.00",
		email: "Pesa ulizoweka zimeingia kwenye pochi yako.\n\nKiasi: KES 1,000.00\nAda: KES 15.00\nUshuru wa bidhaa: KES 2.25\n" +
			"Tarehe: 23/11/2026 12:30\nRisiti: PS0000001A\nNambari ya kumbukumbu: 01937c5e-8a40-7c1b-9d7e-3f6b2a1c0d4e",
	},
	{
		language: "sw", template: domain.DepositFailed,
		sms:     "SENDTIP: Ombi la kuweka KES 1,000.00 halikufaulu: malipo yalikataliwa. Hakuna pesa zilizoongezwa kwenye pochi yako.",
		subject: "Ombi la kuweka KES 1,000.00 halikufaulu",
		email: "Ombi la kuweka KES 1,000.00 tarehe 23/11/2026 12:30 halikufaulu: malipo yalikataliwa. Hakuna pesa zilizoongezwa kwenye " +
			"pochi yako.\n\nNambari ya kumbukumbu: 01937c5e-8a40-7c1b-9d7e-3f6b2a1c0d4e",
	},
	{
		language: "sw", template: domain.DepositExpired,
		sms: "SENDTIP: Muda wa kulipa KES 1,000.00 umekwisha. Kama umelipa, pesa zitaingia kwenye pochi yako tukithibitisha. Kumb. " +
			"3F6B2A1C0D4E.",
		subject: "Muda wa kulipa KES 1,000.00 umekwisha",
		email: "Muda wa kulipa KES 1,000.00 umekwisha. Kama umelipa, pesa zitaingia kwenye pochi yako mara tu tutakapothibitisha.\n\n" +
			"Nambari ya kumbukumbu: 01937c5e-8a40-7c1b-9d7e-3f6b2a1c0d4e",
	},
	{
		language: "en", template: domain.WithdrawalFailed,
		sms:     "SENDTIP: Your withdrawal of KES 1,000.00 did not go through: the number has no M-Pesa. No money left your wallet.",
		subject: "Withdrawal of KES 1,000.00 did not go through",
		email: "Your withdrawal of KES 1,000.00 on 23/11/2026 12:30 did not go through: the number has no M-Pesa. No money left your " +
			"wallet.\n\nReference: 01937c5e-8a40-7c1b-9d7e-3f6b2a1c0d4e",
	},
	{
		language: "en", template: domain.WithdrawalInDoubt,
		sms:     "SENDTIP: M-Pesa has not confirmed your withdrawal of KES 1,000.00 yet. Please do not repeat it: we keep asking and tell you.",
		subject: "Withdrawal of KES 1,000.00 not confirmed yet",
		email: "M-Pesa has not confirmed your withdrawal of KES 1,000.00 yet. Please do not repeat it. We keep asking, and tell you how it " +
			"ended: " +
			"either you have the money at M-Pesa, or it comes back to your wallet.\n\nReference: 01937c5e-8a40-7c1b-9d7e-3f6b2a1c0d4e",
	},
	{
		language: "en", template: domain.WithdrawalDelayed,
		sms: "SENDTIP: Your withdrawal of KES 1,000.00 takes longer than usual. Please do not repeat it: your money is safe, and we tell you " +
			"when it is paid.",
		subject: "Withdrawal of KES 1,000.00 takes longer",
		email: "Your withdrawal of KES 1,000.00 takes longer than usual, because payments are being delayed at the moment. Please do not " +
			"repeat it. Your money is safe, and we tell you when it is paid.\n\nReference: 01937c5e-8a40-7c1b-9d7e-3f6b2a1c0d4e",
	},
	{
		language: "sw", template: domain.WithdrawalDelayed,
		sms:     "SENDTIP: Ombi la kutoa KES 1,000.00 linachelewa. Tafadhali usirudie: pesa zako ziko salama, tutakujulisha zikilipwa.",
		subject: "Ombi la kutoa KES 1,000.00 linachelewa",
		email: "Ombi lako la kutoa KES 1,000.00 linachelewa kwa sababu malipo yana ucheleweshaji kwa sasa. Tafadhali usirudie. Pesa zako ziko " +
			"salama, na tutakujulisha zikilipwa.\n\nNambari ya kumbukumbu: 01937c5e-8a40-7c1b-9d7e-3f6b2a1c0d4e",
	},
	{
		language: "en", template: domain.WithdrawalReturned,
		sms:     "SENDTIP: Your withdrawal of KES 1,000.00 was not paid. The money is back in your wallet. Ref 3F6B2A1C0D4E.",
		subject: "Withdrawal of KES 1,000.00 came back",
		email: "Your withdrawal of KES 1,000.00 was not paid. The amount and the fee are back in your wallet.\n\nDate: 23/11/2026 12:30\n" +
			"Reference: 01937c5e-8a40-7c1b-9d7e-3f6b2a1c0d4e",
	},
	{
		language: "sw", template: domain.WithdrawalPaid,
		sms:     "SENDTIP: Umetoa KES 1,000.00 tarehe 23/11/2026 12:30. Ada KES 15.00, ushuru KES 2.25. Risiti SKL1A2B3C6.",
		subject: "Umetoa KES 1,000.00",
		email: "Pesa ulizotoa zimelipwa.\n\nKiasi: KES 1,000.00\nAda: KES 15.00\nUshuru wa bidhaa: KES 2.25\nTarehe: 23/11/2026 12:30\n" +
			"Risiti: SKL1A2B3C6\nNambari ya kumbukumbu: 01937c5e-8a40-7c1b-9d7e-3f6b2a1c0d4e",
	},
	{
		language: "sw", template: domain.WithdrawalFailed,
		sms:     "SENDTIP: Ombi la kutoa KES 1,000.00 halikufaulu: nambari haina M-Pesa. Hakuna pesa zilizotoka kwenye pochi yako.",
		subject: "Ombi la kutoa KES 1,000.00 halikufaulu",
		email: "Ombi la kutoa KES 1,000.00 tarehe 23/11/2026 12:30 halikufaulu: nambari haina M-Pesa. Hakuna pesa zilizotoka kwenye pochi " +
			"yako.\n\nNambari ya kumbukumbu: 01937c5e-8a40-7c1b-9d7e-3f6b2a1c0d4e",
	},
	{
		language: "sw", template: domain.WithdrawalInDoubt,
		sms:     "SENDTIP: M-Pesa bado haijathibitisha ombi la kutoa KES 1,000.00. Tafadhali usirudie: tunafuatilia na tutakujulisha.",
		subject: "Ombi la kutoa KES 1,000.00 bado halijathibitishwa",
		email: "M-Pesa bado haijathibitisha ombi lako la kutoa KES 1,000.00. Tafadhali usirudie. Tunafuatilia na tutakujulisha: ama utakuwa na " +
			"pesa hizo M-Pesa, au zitarudi kwenye pochi yako.\n\nNambari ya kumbukumbu: 01937c5e-8a40-7c1b-9d7e-3f6b2a1c0d4e",
	},
	{
		language: "sw", template: domain.WithdrawalReturned,
		sms:     "SENDTIP: Ombi la kutoa KES 1,000.00 halikulipwa. Pesa zimerudi kwenye pochi yako. Kumb. 3F6B2A1C0D4E.",
		subject: "Pesa KES 1,000.00 zimerudi",
		email: "Ombi lako la kutoa KES 1,000.00 halikulipwa. Kiasi na ada vimerudi kwenye pochi yako.\n\nTarehe: 23/11/2026 12:30\n" +
			"Nambari ya kumbukumbu: 01937c5e-8a40-7c1b-9d7e-3f6b2a1c0d4e",
	},
	{
		language: "en", template: domain.NumberKept,
		sms:     "SENDTIP: Your phone number stays as it is: the change was cancelled in the app.",
		subject: "Your phone number stays as it is",
		email:   "Your phone number stays as it is: the change was cancelled in the app.",
	},
	{
		language: "en", template: domain.NumberChanged,
		sms:     "SENDTIP: This is now the phone number of your account. Use it to sign in from now on.",
		subject: "Your phone number has changed",
		email:   "The phone number of your account changed on 23/11/2026 12:30. Use the new one to sign in from now on.",
	},
	{
		language: "en", template: domain.NumberLeft,
		sms: "SENDTIP: Your account has moved to another phone number; this one no longer opens it. If you did not ask for this, contact us at " +
			"once.",
	},
	{
		language: "sw", template: domain.NumberChanging,
		sms:     "SENDTIP: Akaunti yako itapata nambari nyingine ya simu baada ya saa 24. Kama hukuomba hivyo, ghairi kwenye app sasa hivi.",
		subject: "Nambari yako ya simu itabadilika",
		email: "Akaunti yako itapata nambari nyingine ya simu baada ya saa 24. Kama hukuomba hivyo, fungua app sasa hivi ughairi badiliko " +
			"hilo: unaweza kufanya hivyo kwenye kifaa chako chochote.",
	},
	{
		language: "sw", template: domain.NumberKept,
		sms:     "SENDTIP: Nambari yako ya simu haikubadilishwa: badiliko lilighairiwa kwenye app.",
		subject: "Nambari yako ya simu haikubadilishwa",
		email:   "Nambari yako ya simu haikubadilishwa: badiliko lilighairiwa kwenye app.",
	},
	{
		language: "sw", template: domain.NumberChanged,
		sms:     "SENDTIP: Hii sasa ndiyo nambari ya simu ya akaunti yako. Itumie kuingia kuanzia sasa.",
		subject: "Nambari yako ya simu imebadilika",
		email:   "Nambari ya simu ya akaunti yako ilibadilika tarehe 23/11/2026 12:30. Tumia nambari mpya kuingia kuanzia sasa.",
	},
	{
		language: "sw", template: domain.NumberLeft,
		sms: "SENDTIP: Akaunti yako imehamia nambari nyingine ya simu; hii haiifungui tena. Kama hukuomba hivyo, wasiliana nasi mara moja.",
	},
	{
		language: "en", template: domain.NumberClaimed,
		sms: "SENDTIP: Somebody else has proved that they use your phone number. Open the app by 30/11/2026 12:30 and say whether it is " +
			"still yours.",
		subject: "Somebody else uses your phone number",
		email: "Somebody else has proved that they receive the messages to your phone number. We send nothing to it for now, and nobody can " +
			"sign in with it on a new device or send you money by it. Your own devices work as before.\n\nOpen the app by 30/11/2026 12:30 and " +
			"say whether the number is still yours. Without an answer it will no longer belong to your account; your account and your money stay " +
			"yours.",
	},
	{
		language: "en", template: domain.NumberDisputed,
		sms:     "SENDTIP: Our staff are checking who uses your phone number. Until they have decided, we send nothing to it.",
		subject: "We are checking who uses your phone number",
		email: "Our staff are checking who uses your phone number. Until they have decided, we send nothing to it. If you still hold the " +
			"number but your SIM card has stopped working, contact your mobile network: somebody may have a copy of it.",
	},
	{
		language: "en", template: domain.NumberConfirmed,
		sms:     "SENDTIP: Your phone number stays with your account. Everything works as before.",
		subject: "Your phone number stays with your account",
		email:   "Your phone number stays with your account. Everything works as before.",
	},
	{
		language: "en", template: domain.NumberReleased,
		sms:     "SENDTIP: Your account no longer has its phone number. Your money and devices stay yours; add another number in the app.",
		subject: "Your account no longer has its phone number",
		email: "Since 23/11/2026 12:30 your account no longer has its phone number, which somebody else uses. Your money stays yours, and " +
			"your devices work as before. Add another number in the app.",
	},
	{
		language: "sw", template: domain.NumberClaimed,
		sms: "SENDTIP: Mtu mwingine amethibitisha kuwa anatumia nambari yako ya simu. Fungua app kabla ya 30/11/2026 12:30 useme kama bado " +
			"ni yako.",
		subject: "Mtu mwingine anatumia nambari yako ya simu",
		email: "Mtu mwingine amethibitisha kuwa anapokea ujumbe unaotumwa kwa nambari yako ya simu. Kwa sasa hatutumi chochote kwa nambari " +
			"hiyo, na hakuna anayeweza kuitumia kuingia kwenye kifaa kipya au kukutumia pesa. Vifaa vyako vinafanya kazi kama kawaida.\n\nFungua " +
			"app kabla ya 30/11/2026 12:30 useme kama nambari hiyo bado ni yako. Usipojibu, haitakuwa tena ya akaunti yako; akaunti na pesa zako " +
			"zitabaki kuwa zako.",
	},
	{
		language: "sw", template: domain.NumberDisputed,
		sms: "SENDTIP: Wafanyakazi wetu wanachunguza ni nani anayetumia nambari yako ya simu. Hadi watakapoamua, hatutumi chochote kwa " +
			"nambari hiyo.",
		subject: "Tunachunguza ni nani anayetumia nambari yako ya simu",
		email: "Wafanyakazi wetu wanachunguza ni nani anayetumia nambari yako ya simu. Hadi watakapoamua, hatutumi chochote kwa nambari " +
			"hiyo. Ikiwa nambari bado ni yako lakini laini yako imeacha kufanya kazi, wasiliana na mtandao wako wa simu: huenda mtu ana nakala ya " +
			"laini yako.",
	},
	{
		language: "sw", template: domain.NumberConfirmed,
		sms:     "SENDTIP: Nambari yako ya simu inabaki kuwa ya akaunti yako. Kila kitu kinafanya kazi kama kawaida.",
		subject: "Nambari yako ya simu inabaki kuwa ya akaunti yako",
		email:   "Nambari yako ya simu inabaki kuwa ya akaunti yako. Kila kitu kinafanya kazi kama kawaida.",
	},
	{
		language: "sw", template: domain.NumberReleased,
		sms: "SENDTIP: Akaunti yako haina tena nambari yake ya simu. Pesa na vifaa vyako vinabaki kuwa vyako; ongeza nambari nyingine " +
			"kwenye app.",
		subject: "Akaunti yako haina tena nambari yake ya simu",
		email: "Tangu 23/11/2026 12:30 akaunti yako haina tena nambari yake ya simu, ambayo inatumiwa na mtu mwingine. Pesa zako zinabaki " +
			"kuwa zako, na vifaa vyako vinafanya kazi kama kawaida. Ongeza nambari nyingine kwenye app.",
	},
	{
		language: "en", template: domain.RecoveryStarted,
		sms: "SENDTIP: Somebody with your ID asked to recover your account. It gets a new PIN in 24 hours. If it is not you, stop it in " +
			"the app now.",
		subject: "Somebody asked to recover your account",
		email: "Somebody who showed your identity document asked to recover your account. In 24 hours it will have a new PIN, a new device " +
			"and maybe another phone number. If it is not you, open the app now and stop it with your PIN.",
	},
	{
		language: "en", template: domain.RecoveryEnded,
		sms:     "SENDTIP: The recovery of your account was stopped. Your number and PIN stay as they are.",
		subject: "The recovery of your account was stopped",
		email:   "The recovery of your account was stopped. Your phone number and PIN stay as they are.",
	},
	{
		language: "en", template: domain.Recovered,
		sms:     "SENDTIP: Your account has been recovered. Sign in with this number and your new PIN.",
		subject: "Your account has been recovered",
		email:   "Your account was recovered on 23/11/2026 12:30: it has a new PIN, and all former devices are signed out.",
	},
	{
		language: "sw", template: domain.RecoveryStarted,
		sms: "SENDTIP: Mtu mwenye kitambulisho chako anataka kurejesha akaunti yako. Itapata PIN mpya baada ya saa 24. Kama si wewe, zuia " +
			"kwenye app sasa hivi.",
		subject: "Mtu ameomba kurejesha akaunti yako",
		email: "Mtu aliyeonyesha kitambulisho chako ameomba kurejesha akaunti yako. Baada ya saa 24 itakuwa na PIN mpya, kifaa kipya na " +
			"labda nambari nyingine ya simu. Kama si wewe, fungua app sasa hivi uzuie kwa PIN yako.",
	},
	{
		language: "sw", template: domain.RecoveryEnded,
		sms:     "SENDTIP: Urejeshaji wa akaunti yako umezuiwa. Nambari na PIN yako hazikubadilika.",
		subject: "Urejeshaji wa akaunti yako umezuiwa",
		email:   "Urejeshaji wa akaunti yako umezuiwa. Nambari yako ya simu na PIN yako hazikubadilika.",
	},
	{
		language: "sw", template: domain.Recovered,
		sms:     "SENDTIP: Akaunti yako imerejeshwa. Ingia kwa nambari hii na PIN yako mpya.",
		subject: "Akaunti yako imerejeshwa",
		email:   "Akaunti yako ilirejeshwa tarehe 23/11/2026 12:30: ina PIN mpya, na vifaa vyote vya awali vimeondolewa.",
	},
	{
		language: "en", template: domain.RequestReceived,
		sms:     "SENDTIP: Brian O. asks you for KES 500.00. Pay or decline in the app by 30/11/2026 12:30. Ref 3F6B2A1C0D4E.",
		subject: "Brian O. asks you for KES 500.00",
		email: "Brian O. asks you for KES 500.00. You can pay or decline in the app by 30/11/2026 12:30. If you do not know the person, " +
			"decline: you owe no answer.\n\n" +
			"Reference: 01937c5e-8a40-7c1b-9d7e-3f6b2a1c0d4e",
	},
	{
		language: "en", template: domain.RequestReminded,
		sms:     "SENDTIP: Reminder: Brian O. asks you for KES 500.00. Pay or decline in the app by 30/11/2026 12:30. Ref 3F6B2A1C0D4E.",
		subject: "Reminder: Brian O. asks you for KES 500.00",
		email: "Reminder: Brian O. asks you for KES 500.00. You can pay or decline in the app by 30/11/2026 12:30.\n\n" +
			"Reference: 01937c5e-8a40-7c1b-9d7e-3f6b2a1c0d4e",
	},
	{
		language: "en", template: domain.RequestDeclined,
		sms:     "SENDTIP: Brian O. has declined your request for KES 500.00. Ref 3F6B2A1C0D4E.",
		subject: "Your request for KES 500.00 was declined",
		email: "Brian O. has declined your request for KES 500.00.\n\n" +
			"Reference: 01937c5e-8a40-7c1b-9d7e-3f6b2a1c0d4e",
	},
	{
		language: "en", template: domain.RequestExpired,
		sms:     "SENDTIP: Your request for KES 500.00 to Brian O. has expired without a payment. Ref 3F6B2A1C0D4E.",
		subject: "Your request for KES 500.00 has expired",
		email: "Your request for KES 500.00 to Brian O. has expired without a payment.\n\n" +
			"Reference: 01937c5e-8a40-7c1b-9d7e-3f6b2a1c0d4e",
	},
	{
		language: "sw", template: domain.RequestReceived,
		sms:     "SENDTIP: Brian O. anakuomba KES 500.00. Lipa au kataa kwenye app kabla ya 30/11/2026 12:30. Kumb. 3F6B2A1C0D4E.",
		subject: "Brian O. anakuomba KES 500.00",
		email: "Brian O. anakuomba KES 500.00. Unaweza kulipa au kukataa kwenye app kabla ya 30/11/2026 12:30. Ikiwa humfahamu mtu huyu, " +
			"kataa: si lazima umjibu.\n\n" +
			"Nambari ya kumbukumbu: 01937c5e-8a40-7c1b-9d7e-3f6b2a1c0d4e",
	},
	{
		language: "sw", template: domain.RequestReminded,
		sms:     "SENDTIP: Kumbusho: Brian O. anakuomba KES 500.00. Lipa au kataa kwenye app kabla ya 30/11/2026 12:30. Kumb. 3F6B2A1C0D4E.",
		subject: "Kumbusho: Brian O. anakuomba KES 500.00",
		email: "Kumbusho: Brian O. anakuomba KES 500.00. Unaweza kulipa au kukataa kwenye app kabla ya 30/11/2026 12:30.\n\n" +
			"Nambari ya kumbukumbu: 01937c5e-8a40-7c1b-9d7e-3f6b2a1c0d4e",
	},
	{
		language: "sw", template: domain.RequestDeclined,
		sms:     "SENDTIP: Brian O. amekataa ombi lako la KES 500.00. Kumb. 3F6B2A1C0D4E.",
		subject: "Ombi lako la KES 500.00 limekataliwa",
		email: "Brian O. amekataa ombi lako la KES 500.00.\n\n" +
			"Nambari ya kumbukumbu: 01937c5e-8a40-7c1b-9d7e-3f6b2a1c0d4e",
	},
	{
		language: "sw", template: domain.RequestExpired,
		sms:     "SENDTIP: Muda wa ombi lako la KES 500.00 kwa Brian O. umeisha bila kulipwa. Kumb. 3F6B2A1C0D4E.",
		subject: "Muda wa ombi lako la KES 500.00 umeisha",
		email: "Muda wa ombi lako la KES 500.00 kwa Brian O. umeisha bila kulipwa.\n\n" +
			"Nambari ya kumbukumbu: 01937c5e-8a40-7c1b-9d7e-3f6b2a1c0d4e",
	},
}

var frames = map[string][2]string{
	"en": {"Hello Amina,\n\n", "\n\nIf you did not expect this message, contact us immediately. Our staff will never ask for your PIN or a " +
		"code.\n\nSENDTIP\n"},
	"sw": {"Habari Amina,\n\n", "\n\nIkiwa hukutarajia ujumbe huu, wasiliana nasi mara moja. Wafanyakazi wetu hawatawahi kukuomba PIN yako " +
		"wala msimbo wowote.\n\nSENDTIP\n"},
}

func texts(t *testing.T) *domain.Texts {
	t.Helper()
	x, err := domain.NewTexts("SENDTIP")
	if err != nil {
		t.Fatal(err)
	}
	return x
}

func TestRender(t *testing.T) {
	t.Parallel()
	x := texts(t)
	seen := map[string]bool{}
	for _, want := range golden {
		seen[want.language+string(want.template)] = true
		t.Run(want.language+"/"+string(want.template), func(t *testing.T) {
			t.Parallel()
			sms, err := x.Render(want.template, domain.SMS, want.language, fill(facts[want.template]))
			if err != nil || sms != (domain.Message{Text: want.sms}) {
				t.Errorf("SMS is %q (%v), want %q", sms, err, want.sms)
			}
			email, err := x.Render(want.template, domain.Email, want.language, fill(facts[want.template]))
			if !want.template.HasEmail() {
				if err == nil {
					t.Errorf("a one-time code was rendered for e-mail: %q", email)
				}
				return
			}
			frame := frames[want.language]
			if err != nil || email != (domain.Message{Subject: want.subject, Text: frame[0] + want.email + frame[1]}) {
				t.Errorf("e-mail is %q (%v), want %q, %q", email, err, want.subject, frame[0]+want.email+frame[1])
			}
		})
	}
	if len(seen) != len(domain.All)*len(domain.Languages) {
		t.Errorf("%d texts are checked, there are %d", len(seen), len(domain.All)*len(domain.Languages))
	}
}

// codes are all reason codes that have a sentence, and one that has none.
var codes = []string{
	"insufficient_funds", "insufficient_mpesa_funds", "mpesa_limit", "try_later", "no_answer", "cancelled_by_customer", "wrong_pin",
	"declined_by_mpesa", "phone_not_supported", "limit_exceeded", "over_maximum", "account_frozen", "id_not_found", "id_format_refused",
	"identity_mismatch", "birth_date_differs", "face_mismatch", "document_unreadable", "customer", "pin_reset", "number_taken",
	"duplicate_identity",
}

// largest are the highest amount, fee and duty that packs/ allow in each currency; no payment is above what the largest wallet holds.
var largest = map[string][3]int64{
	"KES": {50000000, 10800, 1620}, "UGX": {20000000, 2500, 375}, "RWF": {5560000, 0, 0}, "USD": {385000, 0, 0},
}

// Each part of an SMS is paid for: every text fits one part, with the longest brand that SENDTIP_BRAND may be, the largest amounts, the
// longest receipt that wallet takes, and every reason and purpose.
func TestRenderFitsOneSMS(t *testing.T) {
	t.Parallel()
	x, err := domain.NewTexts("MWANANCHI ü")
	if err != nil {
		t.Fatal(err)
	}
	for _, language := range domain.Languages {
		for _, template := range domain.All {
			for currency, minor := range largest {
				for _, p := range worst(facts[template], currency, minor) {
					m, err := x.Render(template, domain.SMS, language, fill(p))
					if err != nil {
						t.Fatal(err)
					}
					if units, limit := smsUnits(m.Text); units > limit {
						t.Errorf("%s %s takes %d of %d: %s", language, template, units, limit, m.Text)
					}
				}
			}
		}
	}
}

// worst returns what makes the longest texts of a template: once with each reason, once with each purpose.
func worst(p domain.Params, currency string, minor [3]int64) (out []domain.Params) {
	for i, m := range []*money.Money{&p.Amount, &p.Fee, &p.Excise} {
		*m = money.Money{Amount: minor[i], Currency: currency}
	}
	p.Receipt = strings.Repeat("M", 50)
	for _, p.ReasonCode = range codes {
		out = append(out, p)
	}
	for _, p.Purpose = range []string{"registration", "login", "pin_reset", "number_change", "recovery", "new_one"} {
		out = append(out, p)
	}
	return out
}

// The alphabet of GSM 03.38: seven bits a character, and fourteen for one of the extension.
const (
	gsmBasic = "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?" +
		"¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
	gsmExtension = "\f^{}\\[~]|€"
)

// smsUnits returns what a text takes of one SMS, and what one SMS holds: 160 septets, or 70 units of UTF-16 as soon as one character is not
// in the alphabet.
func smsUnits(text string) (units, limit int) {
	for _, r := range text {
		switch {
		case strings.ContainsRune(gsmBasic, r):
			units++
		case strings.ContainsRune(gsmExtension, r):
			units += 2
		default:
			return len(utf16.Encode([]rune(text))), 70
		}
	}
	return units, 160
}

func TestSMSUnits(t *testing.T) {
	t.Parallel()
	for text, want := range map[string][2]int{
		"": {0, 160}, "Pesa £1 ü": {9, 160}, "€1 [a]": {9, 160}, "ŵ": {1, 70}, "aŵ{": {3, 70}, "\U0001F600": {2, 70}, "`": {1, 70},
	} {
		if units, limit := smsUnits(text); units != want[0] || limit != want[1] {
			t.Errorf("%q takes %d of %d, want %v", text, units, limit, want)
		}
	}
}

// Every text with nothing, the smallest and the largest amount, from the facts as they are kept: no amount is ever shown without its
// currency, and nothing is left out or doubled.
func TestRenderEveryAmount(t *testing.T) {
	t.Parallel()
	x := texts(t)
	fees := map[string]map[int64]string{
		"en": {0: " No fee. ", 1: " Fee KES 0.01, excise duty KES 0.01. ",
			money.Max: " Fee KES 90,071,992,547,409.91, excise duty KES 90,071,992,547,409.91. "},
		"sw": {0: " Hakuna ada. ", 1: " Ada KES 0.01, ushuru wa bidhaa KES 0.01. ",
			money.Max: " Ada KES 90,071,992,547,409.91, ushuru wa bidhaa KES 90,071,992,547,409.91. "},
	}
	for _, language := range domain.Languages {
		for _, template := range domain.All {
			for _, minor := range []int64{0, 1, money.Max} {
				p := facts[template]
				p.Amount, p.Fee, p.Excise = kes(minor), kes(minor), kes(minor)
				for _, channel := range []domain.Channel{domain.SMS, domain.Email} {
					if channel == domain.Email && !template.HasEmail() {
						continue
					}
					m, err := x.Render(template, channel, language, fill(kept(t, p)))
					if err != nil {
						t.Fatal(err)
					}
					text := m.Subject + "\n" + m.Text
					for _, wrong := range []string{"minor units", "<no value>", "  ", " .", " ,", ": \n", "%!", " 0 "} {
						if strings.Contains(text, wrong) {
							t.Errorf("%s %s %s with %d contains %q: %s", language, template, channel, minor, wrong, text)
						}
					}
					if template == domain.TransferSent && channel == domain.SMS && !strings.Contains(m.Text, fees[language][minor]) {
						t.Errorf("%s: the fee is missing in %s", language, m.Text)
					}
				}
			}
		}
	}
}

// kept returns params as the database gives them back.
func kept(t *testing.T, p domain.Params) domain.Params {
	t.Helper()
	raw, err := json.Marshal(p.Stored())
	if err != nil {
		t.Fatal(err)
	}
	var out domain.Params
	if err := json.Unmarshal(raw, &out); err != nil {
		t.Fatal(err)
	}
	return out
}

// Rows of older versions keep no fee of zero, nor its currency.
func TestRenderWithoutFee(t *testing.T) {
	t.Parallel()
	var old domain.Params
	if err := json.Unmarshal([]byte(`{"reference":"`+id+`","amount":{"amount":5000,"currency":"KES"}}`), &old); err != nil {
		t.Fatal(err)
	}
	for language, want := range map[string][2]string{
		"en": {"SENDTIP: You sent KES 50.00 on 23/11/2026 12:30. No fee. Ref 3F6B2A1C0D4E.",
			"You have sent money.\n\nAmount: KES 50.00\nFee: none\nDate: 23/11/2026 12:30\nReference: " + id},
		"sw": {"SENDTIP: Umetuma KES 50.00 tarehe 23/11/2026 12:30. Hakuna ada. Kumb. 3F6B2A1C0D4E.",
			"Umetuma pesa.\n\nKiasi: KES 50.00\nAda: hakuna\nTarehe: 23/11/2026 12:30\nNambari ya kumbukumbu: " + id},
	} {
		for i, channel := range []domain.Channel{domain.SMS, domain.Email} {
			m, err := texts(t).Render(domain.TransferSent, channel, language, fill(old))
			if text := strings.TrimSuffix(strings.TrimPrefix(m.Text, frames[language][0]), frames[language][1]); err != nil || text != want[i] {
				t.Errorf("%s %s: %q (%v), want %q", language, channel, text, err, want[i])
			}
		}
	}
}

func TestRenderVariants(t *testing.T) {
	t.Parallel()
	x := texts(t)
	with := func(template domain.Template, change func(*domain.Fill)) domain.Fill {
		f := fill(facts[template])
		change(&f)
		return f
	}
	for name, c := range map[string]struct {
		template domain.Template
		channel  domain.Channel
		language string
		fill     domain.Fill
		want     string
	}{
		"regional tag": {domain.WalletOpened, domain.SMS, "sw-KE", fill(facts[domain.WalletOpened]),
			"SENDTIP: Pochi yako ya KES imefunguliwa."},
		"other language": {domain.WalletOpened, domain.SMS, "rw", fill(facts[domain.WalletOpened]), "SENDTIP: Your KES wallet is open."},
		"unknown reason": {domain.TopupFailed, domain.SMS, "en", with(domain.TopupFailed, func(f *domain.Fill) { f.ReasonCode = "<b>evil</b>" }),
			"SENDTIP: Your top-up of KES 250.00 did not go through: it could not be completed. No money was added to your wallet."},
		"alias of a reason": {domain.TransferFailed, domain.SMS, "en",
			with(domain.TransferFailed, func(f *domain.Fill) { f.ReasonCode = "customer_suspended" }),
			"SENDTIP: Your transfer of KES 1,000.00 did not go through: an account is blocked. No money left your wallet. Ref 3F6B2A1C0D4E."},
		"no receipt": {domain.TopupSucceeded, domain.SMS, "en", with(domain.TopupSucceeded, func(f *domain.Fill) { f.Receipt = "" }),
			"SENDTIP: KES 250.00 was added to your wallet on 23/11/2026 12:30. Ref 3F6B2A1C0D4E."},
		"no decimals": {domain.TransferReceived, domain.SMS, "en",
			with(domain.TransferReceived, func(f *domain.Fill) { f.Amount = money.Money{Amount: 1500, Currency: "UGX"} }),
			"SENDTIP: You received UGX 1,500 on 23/11/2026 12:30. Ref 3F6B2A1C0D4E."},
		"past midnight in Nairobi": {domain.TransferReceived, domain.SMS, "en",
			with(domain.TransferReceived, func(f *domain.Fill) { f.OccurredAt = time.Date(2026, 12, 31, 21, 30, 0, 0, time.UTC) }),
			"SENDTIP: You received KES 1,000.00 on 01/01/2027 00:30. Ref 3F6B2A1C0D4E."},
		"registration code": {domain.OTP, domain.SMS, "en", with(domain.OTP, func(f *domain.Fill) { f.Purpose = "registration" }),
			"SENDTIP: Your sign-up code is 482913, valid until 12:35. Never share it with anyone; our staff will never ask for it."},
		"other purpose": {domain.OTP, domain.SMS, "sw", with(domain.OTP, func(f *domain.Fill) { f.Purpose = "new_one" }),
			"SENDTIP: Msimbo wako ni 482913, unatumika hadi 12:35. Usimpe mtu yeyote msimbo huu, hata wafanyakazi wetu."},
		"name on several lines": {domain.WalletOpened, domain.Email, "en",
			with(domain.WalletOpened, func(f *domain.Fill) { f.FirstName = "A\r\n\r\nPay 0700 {{.Code}}" }),
			"Hello A Pay 0700 {{.Code}},\n\nYour KES wallet was opened on 23/11/2026 12:30." + frames["en"][1]},
		"no name": {domain.WalletOpened, domain.Email, "sw", with(domain.WalletOpened, func(f *domain.Fill) { f.FirstName = "" }),
			"Habari,\n\nPochi yako ya KES imefunguliwa tarehe 23/11/2026 12:30." + frames["sw"][1]},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m, err := x.Render(c.template, c.channel, c.language, c.fill)
			if err != nil || m.Text != c.want {
				t.Errorf("text is %q (%v), want %q", m.Text, err, c.want)
			}
		})
	}
}

// Every code but the last has a sentence of its own in every language.
func TestRenderReasons(t *testing.T) {
	t.Parallel()
	x := texts(t)
	for _, language := range domain.Languages {
		seen := map[string]string{}
		for _, code := range codes {
			m, err := x.Render(domain.TopupFailed, domain.SMS, language, fill(domain.Params{Amount: kes(100), ReasonCode: code}))
			if err != nil {
				t.Fatal(err)
			}
			if other, ok := seen[m.Text]; ok {
				t.Errorf("%s: %s and %s read the same: %s", language, code, other, m.Text)
			}
			seen[m.Text] = code
		}
	}
}

func TestRenderUnknownTemplate(t *testing.T) {
	t.Parallel()
	if m, err := texts(t).Render("nothing", domain.SMS, "en", domain.Fill{}); err == nil {
		t.Errorf("an unknown template gave %q", m.Text)
	}
}
