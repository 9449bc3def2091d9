package main

import (
	"fmt"
	"slices"
	"strings"
)

// bug is a described mutant: what it breaks, where, what stands there, what it makes of it, and whose tests must see it.
type bug struct{ breaks, file, old, new, tests string }

// described are all described mutants, in the order in which money and rights pass them.
func described() ([]mutant, error) {
	var out []mutant
	names := map[string]bool{}
	for _, b := range slices.Concat(ofKit, ofGateway, ofUser, ofWallet, ofPayments, ofLedger, ofProof) {
		if names[b.breaks] || b.breaks == "" || b.tests == "" {
			return nil, fmt.Errorf("%q: described twice, or not at all", b.breaks)
		}
		names[b.breaks] = true
		out = append(out, mutant{name: b.breaks, file: b.file, old: b.old, new: b.new, tests: strings.Fields(b.tests)})
	}
	return out, nil
}

// Packages of tests.
const (
	gatewayTests = "gateway"
	edgeTests    = "gateway/internal/auth " + gatewayTests
	userRules    = "services/user/internal/domain"
	userTests    = "services/user/internal/app"
	walletRules  = "services/wallet/internal/domain"
	walletTests  = "services/wallet/internal/app"
	ledgerRules  = "services/transactions/internal/domain"
	ledgerTests  = "services/transactions/internal/app"
	proofTests   = "services/transactions/proof"
)

var ofKit = []bug{
	{"an idempotency key answers another request with the first one's result", "kit/idem/idem.go",
		`if !s.sameRequest(first, k) {`, `if false && !s.sameRequest(first, k) {`, "kit/idem"},
	{"an idempotency key is shared by all customers", "kit/idem/idem.go",
		`principal: auth.From(ctx).Key(), operation`, `principal: auth.From(ctx).Key()[:4], operation`, "kit/idem"},
	{"a finished idempotency key is overwritten by whoever finishes it late", "kit/idem/idem.go",
		`WHERE id = $1 AND status IS NULL`, `WHERE id = $1`, "kit/idem"},
	{"a key whose request still runs is swept with the old ones", "kit/idem/idem.go",
		`created_at < $1 AND finished_at < $1`, `created_at < $1`, "kit/idem"},
	{"an event that comes twice has its effect twice: the inbox is written and not read", "kit/event/dispatch.go",
		`if tag.RowsAffected() == 0 {`, `if tag.RowsAffected() < 0 {`, "kit/event"},
	{"an event that cannot be applied now goes to the dead letters", "kit/event/consumer.go",
		"DeadTopic, IsRefused)", "DeadTopic, func(error) bool { return true })", "kit/event"},
	{"an event that the broker did not take is marked as published", "kit/outbox/relay.go",
		"if err == nil {\n\t\t\tdone", "if err == nil || true {\n\t\t\tdone", "kit/outbox"},
	{"half a cent is rounded down", "kit/money/money.go", `rest >= uint64(den)-rest`, `rest > uint64(den)-rest`, "kit/money"},
	{"shillings are added to dollars", "kit/money/money.go",
		`if m.Currency != other.Currency {`, `if false && m.Currency != other.Currency {`, "kit/money"},
	{"whoever proposed a change approves it", "kit/approve/approve.go", `case a.Maker == checker:`, `case false:`, "kit/approve"},
	{"a request can be approved at the moment at which it expires", "kit/approve/rows.go",
		`!now.Before(a.ExpiresAt)`, `now.After(a.ExpiresAt)`, "kit/approve"},
	{"a payload that was changed in the database is approved", "kit/approve/approve.go",
		`case shown != a.Digest || !d.genuine(a):`, `case shown != a.Digest:`, "kit/approve"},
	{"a service takes the identity token of another", "kit/auth/auth.go",
		`|| c.Audience[0] != v.audience || c.Subject == ""`, `|| c.Subject == ""`, "kit/auth"},
	{"a verified identity token is good for ever", "kit/auth/auth.go",
		`if ok && v.now().Before(known.expires) {`, `if ok {`, "kit/auth"},
	{"somebody else's cursor is taken", "kit/page/page.go",
		`[]any{operation, who.Subject, who.Act, filter}`, `[]any{operation, who.Act, filter}`, "kit/page"},
	{"a sealed text of one row can be put into another", "kit/seal/seal.go",
		`header...), purpose...)`, `header...), purpose[:0]...)`, "kit/seal"},
	{"a PIN that is logged by name shows", "kit/log/log.go", `"pin": true, `, ``, "kit/log"},
	{"an answer of too many requests counts as a refusal, although an earlier try may have posted", "kit/call/problem.go",
		`fault.Timeout, fault.TooMany:`, `fault.Timeout:`, "kit/call"},
}

var ofGateway = []bug{
	{"a caller needs none of an operation's scopes", "gateway/internal/auth/caller.go",
		`a.Scheme == c.Scheme && c.hasAll(a.Scopes)`, `a.Scheme == c.Scheme`, gatewayTests},
	{"a token that was issued in the moment of a suspension lives on", "gateway/internal/auth/revocation.go",
		`!c.IssuedAt.After(e.at)`, `c.IssuedAt.Before(e.at)`, edgeTests},
	{"a gateway that has read a part of the revocations counts as ready", "gateway/internal/auth/revocation.go",
		`if len(list.Data) < fullList {`, `if true {`, edgeTests},
	{"a revocation is forgotten while tokens of the session live", "gateway/internal/auth/revocation.go",
		`remember = maxLife + time.Minute`, `remember = time.Minute`, edgeTests},
	{"a step-up token is good for every operation", "gateway/internal/auth/token.go",
		`s.Operation == operation`, `s.Operation != ""`, edgeTests},
	{"a step-up token is good in another session", "gateway/internal/auth/token.go",
		`s.SessionID == c.SessionID && `, ``, edgeTests},
	{"a token of the sandbox's environment opens the live one", "gateway/internal/auth/token.go",
		`} else if env != t.env {`, `} else if false {`, edgeTests},
	{"an API key is good in the moment in which it expires", "gateway/internal/keys/live.go",
		`if !l.now().Before(*k.expires) {`, `if l.now().After(*k.expires) {`, "gateway/internal/keys"},
	{"a request that one limit refuses spends from its others while Redis is away", "gateway/internal/limit/local.go",
		`spendable(a.Policy, lags[i]) > 0`, `spendable(a.Policy, lags[i]) >= 0`, "gateway/internal/limit"},
	{"without Redis nothing is limited", "gateway/internal/limit/limit.go",
		`answers, _ := l.local.take(ctx, asks)`, `return Verdict{Allowed: true}; answers, _ := l.local.take(ctx, asks)`,
		"gateway/internal/limit"},
	{"an identity token outlives the credential that it was minted from", "gateway/internal/auth/service.go",
		`&& c.ExpiresAt.Before(end)`, `&& c.ExpiresAt.After(end)`, gatewayTests},
	{"a webhook's sender brings an identity header of its own along", "gateway/internal/edge/steps.go",
		`return strings.HasPrefix(name, "Sendtip-") || `, `return `, gatewayTests},
	{"money moves without an Idempotency-Key", "gateway/internal/edge/steps.go",
		`if x.r.Header.Get("Idempotency-Key") == "" {`, `if false {`, gatewayTests},
	{"a revoked session opens everything until its token expires", "gateway/internal/edge/steps.go",
		`g.authenticate, g.checkRevocation, authorize`, `g.authenticate, authorize`, gatewayTests},
}

var ofUser = []bug{
	{"a code may be guessed six times", "services/user/internal/domain/otp.go", `MaxOtpTries = 5`, `MaxOtpTries = 6`, userTests},
	{"a PIN may be guessed six times", "services/user/internal/domain/pin.go", `MaxPinTries = 5`, `MaxPinTries = 6`, userTests},
	{"a code is good twice", "services/user/internal/app/otp.go", `if n != 1 {`, `if n > 1 {`, userTests},
	{"a code that was sent to one customer opens another one's account", "services/user/internal/app/sessions.go",
		`*c.UserID != u.ID || `, ``, userTests},
	{"a code for one device binds another", "services/user/internal/app/sessions.go",
		` || !a.sameDevice(c.DeviceIndex, in.Device) {`, ` {`, userTests},
	{"a lost answer is not repeated in the last moment of its 30 seconds", "services/user/internal/domain/session.go",
		`<= RefreshRepeat`, `< RefreshRepeat`, userRules},
	{"a refresh token that is used twice leaves the session open to the thief", "services/user/internal/app/refresh.go",
		`a.revokeSession(ctx, tx, s.ID, s.UserID, "refresh_reused")`, `nil`, userTests},
	{"who is suspended refreshes on", "services/user/internal/app/refresh.go",
		`if u.Status != domain.StatusActive {`, `if false {`, userTests},
	{"a suspension ends no session", "services/user/internal/app/suspensions.go",
		`a.revokeAll(ctx, tx, u.ID, "suspended"); err`, `error(nil); err`, userTests},
	{"what a suspended member of staff proposed can be approved", "services/user/internal/app/suspensions.go",
		`a.Approvals.Withdraw(ctx, tx, u.ID); err`, `error(nil); err`, userTests},
	{"a token keeps the rights of a role that was taken away", "services/user/internal/app/suspensions.go",
		`scopes.OfRole(u.Role), scope)`, `[]string{scope}, scope)`, userTests},
	{"gateways are told of the revocations of the last minute only", "services/user/internal/app/suspensions.go",
		`from := now.Add(-domain.RevocationKeep)`, `from := now.Add(-time.Minute)`, userTests},
	{"an authenticator's code is good twice", "services/user/internal/app/totp.go",
		"if n == 0 {\n\t\treturn domain.ErrTotpInvalid", "if n < 0 {\n\t\treturn domain.ErrTotpInvalid", userTests},
	{"a limit is full one moment too long", "services/user/internal/domain/limit.go",
		`return !t.After(now.Add(-l.Window))`, `return t.Before(now.Add(-l.Window))`, userRules},
	{"somebody of the same name and another birth date is verified", "services/user/internal/domain/kyc.go",
		`case exact == len(submitted) && sameBirth:`, `case exact == len(submitted):`, userRules},
	{"a provisional result of the authority verifies", "services/user/internal/domain/kyc.go", `case !r.Final:`, `case false:`, userRules},
	{"who becomes 18 today is refused", "services/user/internal/domain/kyc.go",
		`born.AddDate(MinAgeYears, 0, 0).After(today)`, `!born.AddDate(MinAgeYears, 0, 0).Before(today)`, userRules},
	{"an access token outlives its session", "services/user/internal/app/keys.go",
		`if s.expires.Before(expires) {`, `if false {`, userTests},
	{"two PINs that are guessed at once count as one", "generated/user/db/pins.sql.go",
		`THEN p.tries + 1 ELSE 1 END,`, `THEN p.tries ELSE 1 END,`, userTests},
}
