package app_test

import (
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/sendtip/sendtip/services/notification/internal/app"
	"github.com/sendtip/sendtip/services/notification/internal/domain"
)

const formerPhone = "+254711000999"

// TestSendToFormerNumber: a number that was left is told so, by SMS only and in its customer's language, and nobody finds that in the app.
func TestSendToFormerNumber(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.peer.giveEmail()
	id := w.queue(t, app.Notice{Template: domain.NumberLeft, RecipientID: w.peer.former})
	w.send(t, id)
	w.mustBe(t, id, domain.Sent, "")
	if got := w.inbox(t, formerPhone); len(got) != 1 || !strings.Contains(got[0].Text, "imehamia nambari nyingine") {
		t.Errorf("the former number has %+v", got)
	}
	if got := w.inbox(t, phone); len(got) != 0 {
		t.Errorf("the number of now has %+v", got)
	}
	if n := w.count(t, "SELECT count(*) FROM notifications WHERE channel = 'email' OR user_id IS NOT NULL"); n != 0 {
		t.Errorf("%d messages by e-mail or in the app", n)
	}
	if text := w.dump(t) + w.logs.String(); strings.Contains(text, formerPhone[1:]) {
		t.Error("the number rests in the database or the log")
	}
	gone := w.queue(t, app.Notice{Template: domain.NumberLeft, RecipientID: uuid.New()})
	w.send(t, gone)
	w.mustBe(t, gone, domain.Failed, domain.ReasonRecipientUnknown)
}
