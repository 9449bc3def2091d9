package domain

import "time"

// Resends and questions about a withdrawal, by the time since it was first sent: the same request again twice, then questions after ten
// minutes and hourly. After ResendUntil a repeat would be a new payment for a rail that forgets (Daraja keeps ids for a day; an hour is
// safe).
const (
	firstAsk    = 45 * time.Second
	secondAsk   = 2 * time.Minute
	thirdAsk    = 10 * time.Minute
	asksHourly  = time.Hour
	ResendUntil = time.Hour
	// DoubtAfter is when money whose fate is not known leaves the wallet: the answer to the third question has had its time.
	DoubtAfter = 11 * time.Minute
)

// Ask is what to do about a withdrawal of which the rail has not said the end.
type Ask string

// What to do.
const (
	AskNothing Ask = ""
	AskResend  Ask = "resend" // the same request, under the same id
	AskStatus  Ask = "status"
	AskDoubt   Ask = "doubt" // give up waiting
)

// Schedule is when a rail is asked. Speed divides every wait, for trials; 1 is real.
type Schedule struct{ Speed int64 }

// Scaled is a wait at the speed of the schedule.
func (s Schedule) Scaled(d time.Duration) time.Duration { return d / time.Duration(max(s.Speed, 1)) }

// Next says what to do about a withdrawal now, or how long to wait for it. asked is how often the rail was asked before.
func (s Schedule) Next(w Withdrawal, now time.Time) (Ask, time.Duration) {
	if !w.Status.Open() || w.FirstSentAt == nil {
		return AskNothing, 0
	}
	age := now.Sub(*w.FirstSentAt)
	if w.Status != InDoubt && age >= s.Scaled(DoubtAfter) && w.Asked >= 3 {
		return AskDoubt, 0
	}
	due := s.due(w.Asked)
	if age < due {
		if doubt := s.Scaled(DoubtAfter); w.Status != InDoubt && w.Asked >= 3 && doubt < due {
			due = doubt
		}
		return AskNothing, due - age
	}
	if w.Status == Unknown && w.Asked < 2 && age < s.Scaled(ResendUntil) {
		return AskResend, 0
	}
	return AskStatus, 0
}

// Asked is the count of a withdrawal that is asked about now: hours that were missed are not made up for.
func (s Schedule) Asked(w Withdrawal, now time.Time) int32 {
	asked := w.Asked + 1
	if w.FirstSentAt != nil && asked > 3 {
		asked = max(asked, int32(min(now.Sub(*w.FirstSentAt)/s.Scaled(asksHourly), 1<<20))+3)
	}
	return asked
}

// due is the age at which the rail is asked for the next time.
func (s Schedule) due(asked int32) time.Duration {
	switch asked {
	case 0:
		return s.Scaled(firstAsk)
	case 1:
		return s.Scaled(secondAsk)
	case 2:
		return s.Scaled(thirdAsk)
	}
	return s.Scaled(asksHourly * time.Duration(asked-2))
}

// asksEnd is how long Paystack is asked about a deposit that nobody has paid: it repeats its own messages as long.
const asksEnd = 72 * time.Hour

// NextDeposit says how long to wait for the next question about a deposit; false: there is none any more.
func (s Schedule) NextDeposit(d Deposit, now time.Time) (wait time.Duration, asks bool) {
	if !d.MayCome() {
		return 0, false
	}
	age := now.Sub(*d.FirstSentAt)
	if age >= s.Scaled(asksEnd) && !d.Open() {
		return 0, false
	}
	return max(s.due(d.Asked)-age, 0), true
}

// AskedDeposit is the count of a deposit that is asked about now: hours that were missed are not made up for.
func (s Schedule) AskedDeposit(d Deposit, now time.Time) int32 {
	return s.Asked(Withdrawal{Asked: d.Asked, FirstSentAt: d.FirstSentAt}, now)
}

// Over says that the customer's time is over.
func (s Schedule) Over(d Deposit, now time.Time) bool {
	return d.Open() && d.FirstSentAt != nil && now.Sub(*d.FirstSentAt) >= s.Scaled(d.Life())
}
