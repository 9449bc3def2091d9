package contract

// Heard are the faults of answers that came one after the other.
func Heard(answers ...string) (faults []string) {
	s := newStamps()
	for _, a := range answers {
		faults = append(faults, s.heard("operation", []byte(a))...)
	}
	return faults
}
