package app_test

import (
	"errors"
	"fmt"
	"net/url"
	"path"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/sendtip/sendtip/kit/fault"

	"github.com/sendtip/sendtip/services/notification/internal/app"
	"github.com/sendtip/sendtip/services/notification/internal/domain"
)

func (w *world) token() string { return path.Base(app.HookPath(w.sealer)) }

func form(id, status, reason string) []byte {
	v := url.Values{"id": {id}, "status": {status}, "phoneNumber": {phone}, "networkCode": {"63902"}}
	if reason != "" {
		v.Set("failureReason", reason)
	}
	return []byte(v.Encode())
}

// report receives a report and runs the jobs that wait; it returns the wait that the last one asked for.
func (w *world) report(t *testing.T, raw []byte) time.Duration {
	t.Helper()
	if err := w.app.ReceiveSmsReport(t.Context(), w.token(), raw); err != nil {
		t.Fatal(err)
	}
	return w.judge(t)
}

// judge runs the judgement of every report, those that are judged too.
func (w *world) judge(t *testing.T) (wait time.Duration) {
	t.Helper()
	rows, err := w.db.Pool.Query(t.Context(),
		"SELECT (args->>'report_id')::uuid FROM river_job WHERE kind = 'notification.judge_report' ORDER BY id")
	if err != nil {
		t.Fatal(err)
	}
	var ids []uuid.UUID
	for rows.Next() {
		var id uuid.UUID
		if err := rows.Scan(&id); err != nil {
			t.Fatal(err)
		}
		ids = append(ids, id)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	for _, id := range ids {
		if wait, err = w.app.JudgeReport(t.Context(), id); err != nil {
			t.Fatal(err)
		}
	}
	return wait
}

func TestReports(t *testing.T) {
	t.Parallel()
	type report struct{ status, reason string }
	for name, c := range map[string]struct {
		reports []report
		state   domain.State
		reason  string
		events  []string
	}{
		"delivered": {[]report{{"Sent", ""}, {"Submitted", ""}, {"Success", ""}}, domain.Delivered, "",
			[]string{"notification.delivered"}},
		"failed": {[]report{{"Failed", "UserInBlackList"}}, domain.Failed, "opted_out", []string{"notification.failed"}},
		"rejected": {[]report{{"Rejected", "DoNotDisturbRejection"}}, domain.Failed, "do_not_disturb",
			[]string{"notification.failed"}},
		"expired on the way": {[]report{{"Expired", ""}}, domain.Failed, "expired", []string{"notification.failed"}},
		"doubled": {[]report{{"Success", ""}, {"Success", ""}, {"Success", ""}}, domain.Delivered, "",
			[]string{"notification.delivered"}},
		"out of order": {[]report{{"Success", ""}, {"Sent", ""}, {"Buffered", ""}}, domain.Delivered, "",
			[]string{"notification.delivered"}},
		"failed after delivered": {[]report{{"Success", ""}, {"Failed", "DeliveryFailure"}}, domain.Delivered, "",
			[]string{"notification.delivered"}},
		"delivered after failed": {[]report{{"Failed", "DeliveryFailure"}, {"Success", ""}}, domain.Failed, "delivery_failed",
			[]string{"notification.failed"}},
		"never final":    {[]report{{"Sent", ""}, {"Buffered", ""}}, domain.Sent, "", nil},
		"unknown status": {[]report{{"Teleported", ""}}, domain.Sent, "", nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := setup(t)
			id := w.queue(t, receipt())
			w.send(t, id)
			distinct := map[string]bool{}
			for _, r := range c.reports {
				distinct[r.status] = true
				if wait := w.report(t, form(w.row(t, id).providerID, r.status, r.reason)); wait != 0 {
					t.Errorf("%s waits %s", r.status, wait)
				}
			}
			w.mustBe(t, id, c.state, c.reason)
			var got []string
			for _, name := range []string{"notification.delivered", "notification.failed"} {
				for _, data := range w.published(t, name) {
					got = append(got, name)
					if data["notification_id"] != id.String() || data["channel"] != "sms" || data["user_id"] != w.peer.user.String() {
						t.Errorf("published %v", data)
					}
				}
			}
			if strings.Join(got, ",") != strings.Join(c.events, ",") {
				t.Errorf("published %v, want %v", got, c.events)
			}
			if n := w.count(t, "SELECT count(*) FROM delivery_reports"); n != len(distinct) {
				t.Errorf("%d reports are kept, %d were different", n, len(distinct))
			}
			if n := w.count(t, "SELECT count(*) FROM delivery_reports WHERE outcome = 'received' OR judged_at IS NULL"); n != 0 {
				t.Errorf("%d reports are not judged", n)
			}
		})
	}
}

// A report can overtake the answer to the send.
func TestReportBeforeItsMessage(t *testing.T) {
	t.Parallel()
	w := setup(t)
	id := w.queue(t, receipt())
	if wait := w.report(t, form("ATXid_early", "Success", "")); wait != 2*time.Second {
		t.Errorf("wait is %s", wait)
	}
	w.send(t, id)
	if _, err := w.db.Pool.Exec(t.Context(), "UPDATE notifications SET provider_message_id = 'ATXid_early' WHERE id = $1", id); err != nil {
		t.Fatal(err)
	}
	w.wait(2 * time.Second)
	if wait := w.judge(t); wait != 0 {
		t.Errorf("wait is %s", wait)
	}
	w.mustBe(t, id, domain.Delivered, "")
}

func TestReportWithoutMessage(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.report(t, form("ATXid_stranger", "Success", ""))
	w.wait(time.Hour - time.Second)
	if wait := w.judge(t); wait != 5*time.Minute {
		t.Errorf("wait is %s", wait)
	}
	w.wait(time.Second)
	if wait := w.judge(t); wait != 0 {
		t.Errorf("wait is %s", wait)
	}
	if n := w.count(t, "SELECT count(*) FROM delivery_reports WHERE outcome = 'unmatched'"); n != 1 {
		t.Error("the report is not set aside")
	}
}

func TestReportUnreadable(t *testing.T) {
	t.Parallel()
	w := setup(t)
	for _, raw := range []string{"", "status=Success", "id=ATXid_1", `{"id":"ATXid_1","status":"Succ`, "id=%zz", "id=%00&status=%00",
		"\xff\xfe"} {
		if err := w.app.ReceiveSmsReport(t.Context(), w.token(), []byte(raw)); err != nil {
			t.Errorf("%q: %v", raw, err)
		}
	}
	if n := w.count(t, "SELECT count(*) FROM delivery_reports WHERE outcome = 'unreadable' AND provider_message_id IS NULL"); n != 7 {
		t.Errorf("%d reports are kept", n)
	}
	if n := w.count(t, "SELECT count(*) FROM river_job WHERE kind = 'notification.judge_report'"); n != 0 {
		t.Errorf("%d jobs for nothing", n)
	}
	if n := w.alarms(t, "unreadable_report"); n != 7 {
		t.Errorf("%d alarms", n)
	}
}

// What nobody needs never discards a report, and what is needed counts in every writing.
func TestReportInOtherWritings(t *testing.T) {
	t.Parallel()
	for name, body := range map[string]string{
		"null":          `id=%s&status=Success&retryCount=null`,
		"decimal":       `id=%s&status=Success&retryCount=0.0`,
		"small letters": `id=%s&status=success`,
		"broken field":  `id=%s&status=Success&failureReason=%%zz`,
		"NUL":           `id=%s%%00&status=Success%%00&failureReason=%%00`,
		"not UTF-8":     `id=%s&status=Success&failureReason=%%ff`,
		"JSON":          `{"id":"%s","status":"SUCCESS","retryCount":null,"networkCode":{},"phoneNumber":7}`,
		"JSON, marked":  "\ufeff{\"id\":\"%s\",\"status\":\"success\",\"failureReason\":\"a\nb\"}",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := setup(t)
			id := w.queue(t, receipt())
			w.send(t, id)
			for range 2 {
				w.report(t, fmt.Appendf(nil, body, w.row(t, id).providerID))
			}
			w.mustBe(t, id, domain.Delivered, "")
			if n := w.count(t, "SELECT count(*) FROM delivery_reports WHERE outcome = 'applied' AND status = 'Success'"); n != 1 {
				t.Errorf("%d reports were applied", n)
			}
		})
	}
}

// A report whose stored form cannot be opened is tried for an hour, and then a person is told; one whose row is gone is done.
func TestReportThatCannotBeOpened(t *testing.T) {
	t.Parallel()
	w := setup(t)
	if wait, err := w.app.JudgeReport(t.Context(), uuid.Must(uuid.NewV7())); wait != 0 || err != nil {
		t.Errorf("a report that is not there: %s, %v", wait, err)
	}
	id := uuid.Must(uuid.NewV7())
	if _, err := w.db.Pool.Exec(t.Context(), `INSERT INTO delivery_reports (id, provider_message_id, status, body, outcome, received_at)
		VALUES ($1, 'ATXid_1', 'Success', 'not sealed', 'received', $2)`, id, w.clock()); err != nil {
		t.Fatal(err)
	}
	w.wait(time.Hour - time.Microsecond)
	if _, err := w.app.JudgeReport(t.Context(), id); err == nil {
		t.Error("given up before the hour is over")
	}
	w.wait(time.Microsecond)
	if wait, err := w.app.JudgeReport(t.Context(), id); wait != 0 || err != nil {
		t.Errorf("%s, %v", wait, err)
	}
	if n := w.count(t, "SELECT count(*) FROM delivery_reports WHERE outcome = 'unreadable' AND judged_at IS NOT NULL"); n != 1 ||
		w.alarms(t, "unreadable_report") != 1 {
		t.Errorf("%d set aside, %d alarms", n, w.alarms(t, "unreadable_report"))
	}
}

func TestReportWrongToken(t *testing.T) {
	t.Parallel()
	w := setup(t)
	for _, token := range []string{"", "AAAABBBBCCCCDDDDEEEEFFFFGGGGHHHH", w.token()[1:], w.sealer.Token("other")} {
		err := w.app.ReceiveSmsReport(t.Context(), token, form("ATXid_1", "Success", ""))
		if f, ok := fault.As(err); !ok || f.Kind != fault.NotFound || !errors.Is(err, fault.ErrNotFound) {
			t.Errorf("%q: %v", token, err)
		}
	}
	if n := w.count(t, "SELECT count(*) FROM delivery_reports"); n != 0 {
		t.Errorf("%d reports were stored", n)
	}
	if err := w.app.ReceiveSmsReport(t.Context(), strings.ToUpper(w.token()), form("ATXid_1", "Success", "")); err != nil {
		t.Errorf("a token in capitals: %v", err)
	}
}

// TestReportAddress: the SMS gateway's dashboard holds the address, so it may never change.
func TestReportAddress(t *testing.T) {
	t.Parallel()
	if got := app.HookPath(setup(t).sealer); got != "/v1/hooks/sm/9j7dbbr89s5ur96n3np8vt26uzh3tuly" {
		t.Errorf("the address is %s", got)
	}
}

func TestReportIsSealed(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.send(t, w.queue(t, receipt()))
	raw := form("ATXid_1", "Success", "")
	w.report(t, raw)
	var id uuid.UUID
	var body []byte
	if err := w.db.Pool.QueryRow(t.Context(), "SELECT id, body FROM delivery_reports").Scan(&id, &body); err != nil {
		t.Fatal(err)
	}
	if plain, err := w.sealer.Open("notification.report:"+id.String(), body); err != nil || string(plain) != string(raw) {
		t.Errorf("opened %q (%v)", plain, err)
	}
	if dump := w.dump(t) + w.logs.String(); strings.Contains(dump, phone[1:]) {
		t.Error("the phone rests in clear")
	}
}
