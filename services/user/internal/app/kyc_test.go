package app_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/sendtip/sendtip/kit/fault"
	"github.com/sendtip/sendtip/kit/idem"
	"github.com/sendtip/sendtip/kit/page"
	"github.com/sendtip/sendtip/kit/service"
	"github.com/sendtip/sendtip/kit/servicetest"
	"github.com/sendtip/sendtip/providers/smileid"
	"github.com/sendtip/sendtip/sandbox"
	"github.com/sendtip/sendtip/sandbox/control"
	"github.com/sendtip/sendtip/services/user/internal/app"
	"github.com/sendtip/sendtip/services/user/internal/domain"
)

func details(number string) domain.Submission {
	return domain.Submission{Country: "KE", IDType: "NATIONAL_ID", IDNumber: number, FirstName: "Amina", LastName: "Wanjiru",
		DateOfBirth: "1990-04-12"}
}

func (w *world) submit(c customer, number, key string) (app.Kyc, error) {
	return w.App.SubmitKyc(c.ctx, app.KycInput{Submission: details(number), ConsentVersion: "2026-01", IdempotencyKey: key})
}

// ask replaces Smile ID.
func (w *world) ask(url string) {
	w.Helper()
	w.Rebuild(func(_ *service.Parts, d *app.Deps) {
		d.Smile = smileid.New(smileid.Config{BaseURL: url, PartnerID: "085", APIKey: "k"})
	})
}

// decided submits and works the job by hand until there is nothing left to do.
func (w *world) decided(c customer, number string) app.Kyc {
	w.Helper()
	k, err := w.submit(c, number, "key-"+uuid.NewString())
	w.must(err)
	return w.settled(c, k.ID)
}

func (w *world) settled(c customer, id uuid.UUID) app.Kyc {
	w.Helper()
	w.Settle(id)
	k, err := w.App.GetKyc(c.ctx, id)
	w.must(err)
	return k
}

// called waits for the callbacks, which may come after the answer to a question has decided.
func (w *world) called(n int) {
	w.Helper()
	servicetest.Eventually(w, "the callbacks are there", func() bool { return w.Count("SELECT count(*) FROM kyc_callbacks") >= n })
}

func TestSubmitKyc(t *testing.T) {
	t.Parallel()
	w := setup(t)
	c := w.register(phone)
	k, err := w.submit(c, "30112230", "key-a")
	w.must(err)
	if k.Status != "pending" || k.UserID != c.id {
		t.Errorf("%+v", k)
	}
	before := w.everything()
	again, err := w.submit(c, "30112230", "key-a")
	w.must(err)
	if again != k || w.everything() != before {
		t.Errorf("repeated: %+v, then %+v, %d more rows", k, again, w.everything()-before)
	}
	_, err = w.submit(c, "30112238", "key-a")
	w.want(err, idem.ErrKeyReused)
	_, err = w.submit(c, "30112230", "key-b")
	w.want(err, domain.ErrKycInProgress)
	if n := w.everything(); n != before {
		t.Errorf("refusals left %d rows", n-before)
	}
	other := w.register("+254712000001")
	_, err = w.App.GetKyc(other.ctx, k.ID)
	w.want(err, fault.ErrNotFound)
	_, err = w.App.GetKyc(c.ctx, uuid.New())
	w.want(err, fault.ErrNotFound)
	w.noPlaintext("30112230", "Wanjiru", "1990-04-12", phone)
}

func TestSubmitKycRefused(t *testing.T) {
	t.Parallel()
	w := setup(t)
	c := w.register(phone)
	before := w.everything()
	bad := details("30112230")
	bad.DateOfBirth = w.Now().Format("2006-01-02")
	_, err := w.App.SubmitKyc(c.ctx, app.KycInput{Submission: bad, ConsentVersion: "1", IdempotencyKey: "key-a"})
	w.want(err, domain.ErrKycInvalid)
	_, err = w.submit(c, "30112230", "")
	w.want(err, idem.ErrMissing)
	_, err = w.App.SubmitKyc(w.as(c.id, c.tokens.SessionID, "profile"), app.KycInput{Submission: details("1"), IdempotencyKey: "key-a"})
	w.want(err, fault.ErrForbidden)
	_, err = w.App.SubmitKyc(w.service("kyc"), app.KycInput{Submission: details("1"), IdempotencyKey: "key-a"})
	w.want(err, fault.ErrForbidden)
	if n := w.everything(); n != before {
		t.Errorf("refusals left %d rows", n-before)
	}
	_, err = w.submit(c, "30112230", "key-a") // a refused request frees its key
	w.must(err)
}

func TestSubmitKycConcurrent(t *testing.T) {
	t.Parallel()
	w := setup(t)
	c := w.register(phone)
	errs := servicetest.Together(12, func(i int) error { _, err := w.submit(c, "30112230", fmt.Sprint("key-", i)); return err })
	if ok, refused := tally(errs, domain.ErrKycInProgress); ok != 1 || refused != 11 {
		t.Errorf("%d accepted, %d refused: %v", ok, refused, errs)
	}
	if n := w.Count("SELECT count(*) FROM river_job"); n != 1 {
		t.Errorf("%d jobs", n)
	}
}

func TestKycOutcomes(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.must(w.Box.SetScript(t.Context(), control.Script{KYCCallback: "lose"})) // polling alone must do
	for i, c := range []struct{ number, status, reason, event string }{
		{"30112230", "verified", "", "user.kyc_verified"},
		{"30112231", "rejected", domain.ReasonNotFound, "user.kyc_rejected"},
		{"30112232", "rejected", domain.ReasonFormat, "user.kyc_rejected"},
		{"30112235", "rejected", domain.ReasonMismatch, "user.kyc_rejected"},
		{"30112236", "review", domain.ReasonProvisional, "user.kyc_review_needed"},
		{"30112237", "review", domain.ReasonUnknown, "user.kyc_review_needed"},
	} {
		customer := w.register(fmt.Sprintf("+25471200001%d", i))
		k := w.decided(customer, c.number)
		if k.Status != c.status || k.Reason != c.reason || (k.DecidedAt != nil) != (c.status != "review") {
			t.Errorf("%s: %+v, want %s %s", c.number, k, c.status, c.reason)
		}
		types, last := w.events()
		if types[len(types)-1] != c.event || last["user_id"] != customer.id.String() {
			t.Errorf("%s: event %v %v", c.number, types[len(types)-1], last)
		}
		p, err := w.App.GetProfile(customer.ctx)
		w.must(err)
		tier, name := int32(0), ""
		if c.status == "verified" {
			tier, name = 1, "Amina W."
			if last["tier"] != 1.0 || last["country"] != "KE" || last["version"] != float64(p.Version) || p.Version < 2 {
				t.Errorf("event %v, version %d", last, p.Version)
			}
		}
		if p.KycStatus != c.status || p.Tier != tier || p.MaskedName() != name {
			t.Errorf("%s: profile %+v", c.number, p)
		}
	}
}

func TestKycByJobsAndCallback(t *testing.T) {
	t.Parallel()
	w := setup(t)
	c := w.register(phone)
	k, err := w.submit(c, "30112230", "key-a")
	w.must(err)
	w.RunJobs()
	servicetest.Eventually(t, "the customer is verified", func() bool {
		got, err := w.App.GetKyc(c.ctx, k.ID)
		w.must(err)
		return got.Status == "verified"
	})
	if n := w.Count("SELECT count(*) FROM kyc_callbacks WHERE kyc_id = $1", k.ID); n != 1 {
		t.Errorf("%d callbacks stored", n)
	}
	w.noPlaintext("30112230", "Wanjiru", "WANJIRU")
}

func TestKycForgedCallback(t *testing.T) {
	t.Parallel()
	w := setup(t)
	c := w.register(phone)
	k, err := w.submit(c, "30112231", "key-a") // not found, whatever somebody claims
	w.must(err)
	before := w.everything()
	body := []byte(`{"ResultCode":"1012","FullName":"Amina Wanjiru"}`)
	w.want(w.App.ReceiveKycCallback(w.anyone(), "guessguessguessguess", k.ID, body), fault.ErrNotFound)
	other := w.Sealer.Token("kyc", uuid.NewString())
	w.want(w.App.ReceiveKycCallback(w.anyone(), other, k.ID, body), fault.ErrNotFound)
	if n := w.everything(); n != before {
		t.Errorf("a wrong token left %d rows", n-before)
	}
	token := w.Sealer.Token("kyc", k.ID.String())
	for range 30 { // even with the address
		w.must(w.App.ReceiveKycCallback(w.anyone(), token, k.ID, body))
	}
	if n := w.Count("SELECT count(*) FROM kyc_callbacks"); n != 20 {
		t.Errorf("%d callbacks stored, want at most 20", n)
	}
	if again, err := w.App.JudgeKyc(t.Context(), k.ID, 0); err != nil || again == 0 {
		t.Errorf("judged before it was sent: %v, %v", again, err)
	}
	if got := w.settled(c, k.ID); got.Status != "rejected" {
		t.Errorf("%+v", got)
	}
	if again, err := w.App.JudgeKyc(t.Context(), k.ID, 0); err != nil || again != 0 {
		t.Errorf("a late callback: %v, %v", again, err)
	}
}

// TestKycCallbackAddress: Smile ID holds the addresses of submissions under way, and callbacks rest under their purpose: neither may
// change.
func TestKycCallbackAddress(t *testing.T) {
	t.Parallel()
	w := setup(t)
	var asked struct {
		URL string `json:"callback_url"`
	}
	peer := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		w.must(json.NewDecoder(r.Body).Decode(&asked))
		_, _ = rw.Write([]byte(`{"success":true}`))
	}))
	defer peer.Close()
	w.ask(peer.URL)
	k, err := w.submit(w.register(phone), "30112230", "key-a")
	w.must(err)
	_, err = w.App.AdvanceKyc(t.Context(), k.ID, 0)
	w.must(err)
	token := w.Sealer.Token("kyc", k.ID.String())
	if want := "/v1/hooks/ky/" + token + "/" + k.ID.String(); !strings.HasPrefix(asked.URL, "http") || !strings.HasSuffix(asked.URL, want) {
		t.Errorf("Smile ID is told %s", asked.URL)
	}
	// an address of an earlier release, under the same key
	const id, made = "01937c5e-8a40-7c1b-9d7e-3f6b2a1c0d4e", "kusx8oxkilbomdds3sz94zb83gi6zwu2"
	w.must(w.App.ReceiveKycCallback(w.anyone(), made, uuid.MustParse(id), []byte("{}")))

	w.must(w.App.ReceiveKycCallback(w.anyone(), token, k.ID, []byte("as it came")))
	var row uuid.UUID
	var sealed []byte
	w.must(w.DB.Pool.QueryRow(t.Context(), "SELECT id, body_sealed FROM kyc_callbacks").Scan(&row, &sealed))
	if body, err := w.Sealer.Open("kyc.callback:"+row.String(), sealed); err != nil || string(body) != "as it came" {
		t.Errorf("%q, %v", body, err)
	}
}

// TestKycForgedVerification: somebody who knows the address and the job's id, and has seen a signature of Smile ID's, which does not cover
// what is signed with it, sends a perfect result. What counts is the answer to our own question.
func TestKycForgedVerification(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.must(w.Box.SetScript(t.Context(), control.Script{KYCCallback: "lose"}))
	stamp := smileid.FormatTimestamp(time.Now())
	forged := func(k app.Kyc, number string) []byte {
		return fmt.Appendf(nil, `{"SmileJobID":"0000056574","PartnerParams":{"user_id":%q,"job_id":%q,"job_type":5},
			"ResultType":"ID Verification","ResultText":"ID Number Validated",
			"ResultCode":"1012","IsFinalResult":"true","Actions":{"Verify_ID_Number":"Verified","Return_Personal_Info":"Returned"},"Country":"KE",
			"IDType":"NATIONAL_ID",
			"IDNumber":%q,"FullName":"AMINA WANJIRU","DOB":"1990-04-12","timestamp":%q,"signature":%q}`,
			k.UserID, k.ID, number, stamp, smileid.Sign(sandbox.DefaultSmileAPIKey, sandbox.DefaultSmilePartnerID, stamp))
	}
	for i, c := range []struct{ number, status, reason string }{
		{"30112231", "rejected", domain.ReasonNotFound}, // no ID that the authority knows
		{"30112235", "rejected", domain.ReasonMismatch}, // somebody else's
		{"30112237", "review", domain.ReasonUnknown},
	} {
		customer := w.register(fmt.Sprintf("+25471200004%d", i))
		k, err := w.submit(customer, c.number, "key-a")
		w.must(err)
		body, token := forged(k, c.number), w.Sealer.Token("kyc", k.ID.String())
		if r, err := smileid.ParseCallback(body); err != nil || r.JobID != k.ID.String() ||
			domain.Decide(details(c.number), domain.AuthorityResult{
				Code: r.ResultCode, Final: r.Final, Country: r.Country, IDType: r.IDType, IDNumber: r.IDNumber, FullName: r.FullName,
				DateOfBirth: r.DOB,
			}).Outcome != domain.OutcomeVerified {
			t.Fatalf("the forgery would not do: %+v, %v", r, err)
		}
		for range 2 { // before the question and after it
			w.must(w.App.ReceiveKycCallback(w.anyone(), token, k.ID, body))
			_, err = w.App.JudgeKyc(t.Context(), k.ID, 0)
			w.must(err)
			if got, err := w.App.GetKyc(customer.ctx, k.ID); err != nil || got.Status == "verified" {
				t.Fatalf("%s: %+v, %v", c.number, got, err)
			}
			_, err = w.App.AdvanceKyc(t.Context(), k.ID, 0)
			w.must(err)
		}
		if got := w.settled(customer, k.ID); got.Status != c.status || got.Reason != c.reason {
			t.Errorf("%s: %+v, want %s %s", c.number, got, c.status, c.reason)
		}
		if p, err := w.App.GetProfile(customer.ctx); err != nil || p.Tier != 0 || p.KycStatus != c.status || p.FirstName != "" {
			t.Errorf("%s: %+v, %v", c.number, p, err)
		}
		if n := w.Count("SELECT count(*) FROM kyc_callbacks WHERE kyc_id = $1", k.ID); n != 2 {
			t.Errorf("%s: %d callbacks stored", c.number, n)
		}
	}
	if types, _ := w.events(); slices.Contains(types, "user.kyc_verified") {
		t.Error("somebody was verified")
	}
}

func TestKycLostAnswer(t *testing.T) {
	t.Parallel()
	w := setup(t)
	c := w.register(phone)
	k, err := w.submit(c, "30112230", "key-a")
	w.must(err)
	if _, err := w.App.AdvanceKyc(t.Context(), k.ID, 0); err != nil {
		t.Fatal(err)
	}
	// The answer was lost: we do not know that it was sent, and the provider says 2215 to the second attempt.
	_, err = w.DB.Pool.Exec(t.Context(), "UPDATE kyc_verifications SET sent_at = NULL WHERE id = $1", k.ID)
	w.must(err)
	if got := w.settled(c, k.ID); got.Status != "verified" {
		t.Errorf("%+v", got)
	}
}

func TestKycAuthorityDown(t *testing.T) {
	t.Parallel()
	w := setup(t)
	c := w.register(phone)
	k, err := w.submit(c, "30112233", "key-a")
	w.must(err)
	deadline := time.Now().Add(10 * time.Second)
	for w.Count("SELECT attempt FROM kyc_verifications") < 3 {
		again, err := w.App.AdvanceKyc(t.Context(), k.ID, 0)
		w.must(err)
		if again == 0 || time.Now().After(deadline) {
			t.Fatalf("gave up: %v", again)
		}
	}
	if p, err := w.App.GetProfile(c.ctx); err != nil || p.KycStatus != "pending" {
		t.Errorf("%+v, %v", p, err)
	}
	w.Advance(domain.KycPatience + time.Second)
	if got := w.settled(c, k.ID); got.Status != "review" || got.Reason != domain.ReasonNoResult {
		t.Errorf("after the patience: %+v", got)
	}
}

func TestKycProviderTrouble(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		status int
		body   string
		want   string
	}{
		"refused":         {400, `{"error":"Missing required parameters","code":"2213"}`, "review"},
		"wrong key":       {401, `{"error":"unauthorized","code":"2205"}`, "pending"},
		"too many":        {429, `{"error":"slow down"}`, "pending"},
		"broken":          {500, `oops`, "pending"},
		"system error":    {400, `{"error":"system","code":"2201"}`, "pending"},
		"success refused": {200, `{"success":false}`, "pending"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := setup(t)
			peer := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
				rw.WriteHeader(c.status)
				_, _ = rw.Write([]byte(c.body))
			}))
			defer peer.Close()
			w.ask(peer.URL)
			customer := w.register(phone)
			k, err := w.submit(customer, "30112230", "key-a")
			w.must(err)
			again, err := w.App.AdvanceKyc(t.Context(), k.ID, 0)
			w.must(err)
			got, err := w.App.GetKyc(customer.ctx, k.ID)
			w.must(err)
			if got.Status != c.want || (again > 0) != (c.want == "pending") {
				t.Errorf("%+v, again in %v, want %s", got, again, c.want)
			}
			if !strings.Contains(w.Logs.String(), "smile id") {
				t.Error("the operator learns nothing")
			}
			w.noPlaintext("30112230", "Wanjiru", phone)
		})
	}
}

func TestKycStrangeAnswer(t *testing.T) {
	t.Parallel()
	w := setup(t)
	stamp := smileid.FormatTimestamp(time.Now())
	var job string
	peer := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/v1/job_status" {
			_, _ = rw.Write([]byte(`{"success":true}`))
			return
		}
		_, _ = fmt.Fprintf(rw, `{"timestamp":%q,"signature":%q,"job_complete":true,"job_success":true,"code":"2302","result":{"ResultCode":"1012",
			"IsFinalResult":"true",
			"FullName":"Amina Wanjiru","DOB":"1990-04-12","PartnerParams":{"user_id":"somebody","job_id":%q,"job_type":5}}}`, stamp,
			smileid.Sign("k", "085", stamp), job)
	}))
	defer peer.Close()
	w.ask(peer.URL)
	c := w.register(phone)
	k, err := w.submit(c, "30112230", "key-a")
	w.must(err)
	job = k.ID.String()
	if got := w.settled(c, k.ID); got.Status != "review" || got.Reason != domain.ReasonOther {
		t.Errorf("somebody else's result: %+v", got)
	}
}

func TestKycDuplicateIdentity(t *testing.T) {
	t.Parallel()
	w := setup(t)
	var customers [4]customer
	var ids [4]uuid.UUID
	for i := range customers {
		customers[i] = w.register(fmt.Sprintf("+25471200002%d", i))
		k, err := w.submit(customers[i], []string{"30112230", "030112230"}[i%2], "key-a")
		w.must(err)
		ids[i] = k.ID
		if _, err := w.App.AdvanceKyc(t.Context(), k.ID, 0); err != nil { // sent
			t.Fatal(err)
		}
	}
	servicetest.Together(len(ids), func(i int) error { w.settled(customers[i], ids[i]); return nil })
	if n := w.Count("SELECT count(*) FROM kyc_verifications WHERE status = 'verified'"); n != 1 {
		t.Errorf("%d customers verified with one document", n)
	}
	if n := w.Count("SELECT count(*) FROM kyc_verifications WHERE status = 'review' AND reason_code = 'duplicate_identity'"); n != 3 {
		t.Errorf("%d in review, want 3", n)
	}
	_, admin := w.officer()
	reviews, _, err := w.App.ListKycReviews(admin, domain.KycReview, page.Request{})
	w.must(err)
	_, err = w.App.DecideKycReview(admin, app.DecisionInput{KycID: reviews[0].ID, Approve: true, Reason: "looks fine"})
	w.want(err, domain.ErrDuplicateIdentity)
}

func TestKycLimits(t *testing.T) {
	t.Parallel()
	w := setup(t)
	c := w.register(phone)
	for range domain.MaxKycPerDay {
		if k := w.decided(c, "30112231"); k.Status != "rejected" {
			t.Fatalf("%+v", k)
		}
	}
	_, err := w.submit(c, "30112230", "key-a")
	w.want(err, domain.ErrKycLimit)
	w.Advance(24 * time.Hour)
	w.decided(c, "30112230")
	_, err = w.submit(c, "30112230", "key-b")
	w.want(err, domain.ErrKycVerified)
}

func TestKycReviews(t *testing.T) {
	t.Parallel()
	w := setup(t)
	adminID, admin := w.officer()
	var open []app.Kyc
	for i := range 5 {
		open = append(open, w.decided(w.register(fmt.Sprintf("+25471200003%d", i)), "3011223"+fmt.Sprint(i)+"7"))
	}
	first, next, err := w.App.ListKycReviews(admin, domain.KycReview, page.Request{Limit: new(int32(3))})
	w.must(err)
	if len(first) != 3 || next == nil || first[0].ID != open[0].ID ||
		first[0].Submitted.FullName() != "Amina Wanjiru" || first[0].Returned == nil {
		t.Fatalf("page %+v, next %v", first, next)
	}
	colleague := w.Staff("+254799000002", "compliance")
	_, _, err = w.App.ListKycReviews(w.as(colleague, uuid.New(), "admin:kyc"), domain.KycReview, page.Request{Cursor: next})
	w.want(err, page.ErrCursor)
	_, _, err = w.App.ListKycReviews(admin, domain.KycRejected, page.Request{Cursor: next}) // of the other list
	w.want(err, page.ErrCursor)
	rest, next, err := w.App.ListKycReviews(admin, domain.KycReview, page.Request{Cursor: next})
	w.must(err)
	if len(rest) != 2 || next != nil || rest[1].ID != open[4].ID {
		t.Fatalf("rest %+v, next %v", rest, next)
	}
	if n := w.Count("SELECT count(*) FROM audit_log WHERE action = 'kyc.reviews_read' AND actor = $1", "user:"+adminID.String()); n != 2 {
		t.Errorf("%d readings audited", n)
	}
	approve := app.DecisionInput{KycID: open[0].ID, Approve: true, Reason: "Seen the card of Amina"}
	errs := servicetest.Together(4, func(int) error { _, err := w.App.DecideKycReview(admin, approve); return err })
	if ok, _ := tally(errs, nil); ok != 4 {
		t.Errorf("repeated decisions: %v", errs)
	}
	types, last := w.events()
	if i := slices.Index(types, "user.kyc_verified"); i < 0 || slices.Contains(types[i+1:], "user.kyc_verified") ||
		last["user_id"] != open[0].UserID.String() {
		t.Errorf("events %v, last %v", types, last)
	}
	k, err := w.App.DecideKycReview(admin, app.DecisionInput{KycID: open[1].ID, Reason: "Not the same person"})
	w.must(err)
	if k.Status != "rejected" || k.Reason != domain.ReasonRejectedByUser || k.DecidedAt == nil {
		t.Errorf("%+v", k)
	}
	approve.KycID = open[1].ID
	_, err = w.App.DecideKycReview(admin, approve)
	w.want(err, domain.ErrKycNotInReview)
	approve.KycID = uuid.New()
	_, err = w.App.DecideKycReview(admin, approve)
	w.want(err, fault.ErrNotFound)
	w.noPlaintext("Seen the card of Amina")
	if n := w.Count("SELECT count(*) FROM audit_log WHERE action = 'kyc.decided'"); n != 2 {
		t.Errorf("%d decisions audited", n)
	}
}

// TestKycUnreadable: one row whose values cannot be opened hides no other, shows what is left of it, and can be rejected, not approved;
// one that still waits for the authority comes to a person in the end.
func TestKycUnreadable(t *testing.T) {
	t.Parallel()
	w := setup(t)
	_, admin := w.officer()
	var open []app.Kyc
	var customers []customer
	for i := range 4 {
		customers = append(customers, w.register(fmt.Sprintf("+25471200005%d", i)))
		open = append(open, w.decided(customers[i], "3011224"+fmt.Sprint(i)+"7"))
	}
	spoil := func(column string, id uuid.UUID) {
		_, err := w.DB.Pool.Exec(t.Context(), "UPDATE kyc_verifications SET "+column+" = set_byte("+column+", 60, get_byte("+column+
			", 60) # 1) WHERE id = $1", id)
		w.must(err)
	}
	spoil("submission_sealed", open[1].ID)
	spoil("result_sealed", open[2].ID)
	reviews, _, err := w.App.ListKycReviews(admin, domain.KycReview, page.Request{})
	w.must(err)
	if len(reviews) != 4 {
		t.Fatalf("%d in the list, want 4", len(reviews))
	}
	for i, r := range reviews {
		submitted, returned, unreadable := i != 1, i != 2, i == 1 || i == 2
		if r.ID != open[i].ID || (r.Submitted.FirstName == "Amina") != submitted || (r.Returned != nil) != returned ||
			r.Unreadable != unreadable || r.IDType != "NATIONAL_ID" {
			t.Errorf("row %d: %+v", i, r)
		}
	}
	if n := w.Counted("user_unreadable_total"); n != 2 {
		t.Errorf("the metric counts %v, want 2", n)
	}
	w.called(len(open))
	before := w.everything()
	_, err = w.App.DecideKycReview(admin, app.DecisionInput{KycID: open[1].ID, Approve: true, Reason: "blind"})
	w.want(err, domain.ErrKycUnreadable)
	if n := w.everything(); n != before {
		t.Errorf("the refusal left %d rows", n-before)
	}
	k, err := w.App.DecideKycReview(admin, app.DecisionInput{KycID: open[1].ID, Reason: "Cannot be read"})
	w.must(err)
	if k.Status != "rejected" {
		t.Errorf("%+v", k)
	}
	k, err = w.App.DecideKycReview(admin, app.DecisionInput{KycID: open[2].ID, Approve: true, Reason: "Seen the card"})
	w.must(err) // what was submitted is there
	if k.Status != "verified" {
		t.Errorf("%+v", k)
	}

	k, err = w.submit(customers[1], "30112230", "key-z") // may try again
	w.must(err)
	spoil("submission_sealed", k.ID)
	if _, err := w.App.AdvanceKyc(t.Context(), k.ID, 0); err == nil {
		t.Error("a submission that cannot be opened was sent")
	}
	w.Advance(domain.KycPatience + time.Second)
	if got := w.settled(customers[1], k.ID); got.Status != "review" || got.Reason != domain.ReasonNoResult {
		t.Errorf("%+v", got)
	}
}

func TestKycReviewRefused(t *testing.T) {
	t.Parallel()
	w := setup(t)
	adminID, _ := w.officer()
	c := w.register(phone)
	k := w.decided(c, "30112237")
	in := app.DecisionInput{KycID: k.ID, Approve: true, Reason: "why not"}
	_, err := w.App.DecideKycReview(w.as(c.id, c.tokens.SessionID, "admin:kyc"), in) // a scope alone makes no operator
	w.want(err, fault.ErrForbidden)
	_, err = w.App.DecideKycReview(w.as(adminID, uuid.New(), "admin:users"), in)
	w.want(err, fault.ErrForbidden)
	_, _, err = w.App.ListKycReviews(c.ctx, domain.KycReview, page.Request{})
	w.want(err, fault.ErrForbidden)
	_, err = w.submit(customer{ctx: w.as(adminID, uuid.New(), "kyc")}, "30112247", "key-of-staff-0001")
	w.want(err, fault.ErrForbidden) // staff are no customers
	own := w.register("+254712345679")
	in.KycID = w.decided(own, "30112247").ID
	_, err = w.DB.Pool.Exec(t.Context(), "UPDATE users SET role = 'compliance' WHERE id = $1", own.id) // as operators of earlier releases were
	w.must(err)
	_, err = w.App.DecideKycReview(w.as(own.id, uuid.New(), "admin:kyc"), in)
	w.want(err, domain.ErrOwnRecord)
}
