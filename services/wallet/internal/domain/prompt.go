package domain

import (
	"slices"
	"time"
)

// What others may send to one number: a prompt rings at the phone of somebody who did not ask for it.
const (
	promptsPerHour = 3
	promptsPerDay  = 10
	promptsRefused = 3 // in a row
	promptBlock    = 30 * 24 * time.Hour
)

// PromptKept is how long a number is remembered after its last prompt: by then nothing of it counts.
const PromptKept = promptBlock + 24*time.Hour

// PromptedPhone is what prompts of people who are not its owner came to at a number.
type PromptedPhone struct {
	Recent       []time.Time // when the last ones were asked for, oldest first, at most promptsPerDay
	Declined     int         // in a row
	BlockedUntil *time.Time
}

// Ask counts one more prompt, or refuses it.
func (p PromptedPhone) Ask(now time.Time) (PromptedPhone, error) {
	if p.BlockedUntil != nil && now.Before(*p.BlockedUntil) {
		return p, ErrPromptsBlocked
	}
	wait := max(waitFor(p.Recent, promptsPerHour, time.Hour, now), waitFor(p.Recent, promptsPerDay, 24*time.Hour, now))
	if wait > 0 {
		return p, ErrPromptLimit.WithRetryAfter(wait)
	}
	p.Recent = append(slices.Clone(p.Recent), now)
	p.Recent = p.Recent[max(0, len(p.Recent)-promptsPerDay):]
	return p, nil
}

// waitFor is how long until fewer than limit of the times are within the span.
func waitFor(times []time.Time, limit int, span time.Duration, now time.Time) time.Duration {
	if len(times) < limit {
		return 0
	}
	return max(0, times[len(times)-limit].Add(span).Sub(now))
}

// End notes what a prompt came to: a payment ends the row of declined ones, and the third of a row blocks the number.
func (p PromptedPhone) End(paid bool, now time.Time) PromptedPhone {
	if paid {
		p.Declined = 0
		return p
	}
	p.Declined++
	if p.Declined >= promptsRefused {
		until := now.Add(promptBlock)
		p.Declined, p.BlockedUntil = 0, &until
	}
	return p
}

// Lift ends a block.
func (p PromptedPhone) Lift() PromptedPhone {
	p.Declined, p.BlockedUntil = 0, nil
	return p
}

// And is what two rows of one number say together; its index has another key after a rotation.
func (p PromptedPhone) And(q PromptedPhone) PromptedPhone {
	recent := append(append([]time.Time{}, p.Recent...), q.Recent...)
	slices.SortFunc(recent, time.Time.Compare)
	p.Recent = recent[max(0, len(recent)-promptsPerDay):]
	p.Declined = max(p.Declined, q.Declined)
	if p.BlockedUntil == nil || q.BlockedUntil != nil && q.BlockedUntil.After(*p.BlockedUntil) {
		p.BlockedUntil = q.BlockedUntil
	}
	return p
}
