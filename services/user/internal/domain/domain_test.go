package domain_test

import (
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/sendtip/sendtip/kit/fault"
	"github.com/sendtip/sendtip/kit/stepup"
	"github.com/sendtip/sendtip/services/user/internal/domain"
)

func TestCheckPin(t *testing.T) {
	t.Parallel()
	for pin, ok := range map[string]bool{
		"7294": true, "58201": true, "739164": true, "4917": true, "1827": true,
		"1234": false, "0000": false, "1111": false, "4321": false, "9012": false, "2468": false, "1212": false, "123123": false,
		"1221": false, "12321": false, "1987": false, "2024": false, "2580": false, "987654": false, "777777": false, "13579": false,
		"123": false, "1234567": false, "12a4": false, "": false, "１２３４": false,
	} {
		if err := domain.CheckPin(pin); (err == nil) != ok {
			t.Errorf("CheckPin(%q) = %v, want ok %v", pin, err, ok)
		}
	}
}

func TestCheckPhone(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		phone, country string
		want           error
	}{
		{"+254712345678", "KE", nil},
		{"+254110123456", "KE", nil},
		{"+256772123456", "UG", nil},
		{"+250788123456", "RW", nil},
		{"+254712345678", "UG", domain.ErrPhoneInvalid},
		{"+254202222222", "KE", domain.ErrPhoneInvalid}, // a landline gets no SMS
		{"+25471234567", "KE", domain.ErrPhoneInvalid},
		{"0712345678", "KE", domain.ErrPhoneInvalid},
		{"+254 712 345 678", "KE", domain.ErrPhoneInvalid},
		{"+12025550123", "US", domain.ErrCountryUnsupported},
	} {
		if err := domain.CheckPhone(c.phone, c.country); !errors.Is(err, c.want) {
			t.Errorf("CheckPhone(%s, %s) = %v, want %v", c.phone, c.country, err, c.want)
		}
	}
	if country, err := domain.PhoneCountry("+254712345678"); err != nil || country != "KE" {
		t.Errorf("PhoneCountry = %q, %v", country, err)
	}
	if _, err := domain.PhoneCountry("+12025550123"); !errors.Is(err, domain.ErrPhoneInvalid) {
		t.Errorf("PhoneCountry abroad = %v", err)
	}
}

func TestLimitTake(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 23, 9, 30, 0, 0, time.UTC)
	l := domain.CodesOfPhone
	recent := []time.Time{now.Add(-time.Minute), now.Add(-14 * time.Minute), now.Add(-10 * time.Minute)} // clocks differ: in no order
	if keep, err := l.Take(recent[:2], nil, now); err != nil || len(keep) != 3 || !keep[2].Equal(now) {
		t.Errorf("third code: %v, %v", keep, err)
	}
	refused := func(taken, elsewhere []time.Time, at time.Time, wait time.Duration) {
		t.Helper()
		keep, err := l.Take(taken, elsewhere, at)
		if f, ok := fault.As(err); !ok || f.Code != "otp_limit" || f.RetryAfter != wait {
			t.Errorf("%v, %v, want a refusal for %v", keep, err, wait)
		}
	}
	refused(recent, nil, now, time.Minute)
	refused(recent[:2], recent[2:], now, time.Minute)
	refused(recent, nil, now.Add(time.Minute-time.Microsecond), time.Microsecond)
	refused(append(recent, now, now), nil, now, 14*time.Minute) // more than the limit, as after it was lowered
	if keep, err := l.Take(recent, nil, now.Add(time.Minute)); err != nil || len(keep) != 3 {
		t.Errorf("after exactly so long: %v, %v", keep, err)
	}
	if keep, err := l.Take(recent[:1], recent[1:2], now); err != nil || len(keep) != 2 {
		t.Errorf("what is kept elsewhere is not kept here: %v, %v", keep, err)
	}
}

func TestMaskedName(t *testing.T) {
	t.Parallel()
	for _, c := range [][3]string{{"Amina", "Wanjiru", "Amina W."}, {"Ömer", "élan", "Ömer É."}, {"Amina", "", "Amina"}, {"", "", ""},
		{"", "Wanjiru", ""}} {
		if got := (domain.Profile{FirstName: c[0], LastName: c[1]}).MaskedName(); got != c[2] {
			t.Errorf("MaskedName(%s, %s) = %q, want %q", c[0], c[1], got, c[2])
		}
	}
}

func TestJudgeRefresh(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 23, 9, 30, 0, 0, time.UTC)
	at := func(d time.Duration) *time.Time { t := now.Add(-d); return &t }
	for name, c := range map[string]struct {
		try  domain.RefreshTry
		want domain.RefreshVerdict
	}{
		"unspent":           {domain.RefreshTry{SameDevice: true, AskedBy: []byte("k")}, domain.RefreshSpend},
		"unspent elsewhere": {domain.RefreshTry{AskedBy: []byte("k")}, domain.RefreshReuse},
		"repeated": {domain.RefreshTry{SameDevice: true, UsedAt: at(30 * time.Second), UsedBy: []byte("k"), AskedBy: []byte("k")},
			domain.RefreshRepeated},
		"repeated too late": {domain.RefreshTry{SameDevice: true, UsedAt: at(30*time.Second + 1), UsedBy: []byte("k"), AskedBy: []byte("k")},
			domain.RefreshReuse},
		"another key": {domain.RefreshTry{SameDevice: true, UsedAt: at(0), UsedBy: []byte("k"), AskedBy: []byte("x")},
			domain.RefreshReuse},
		"another device":     {domain.RefreshTry{UsedAt: at(0), UsedBy: []byte("k"), AskedBy: []byte("k")}, domain.RefreshReuse},
		"no key at all":      {domain.RefreshTry{SameDevice: true, UsedAt: at(0)}, domain.RefreshReuse},
		"nothing is allowed": {domain.RefreshTry{}, domain.RefreshReuse},
	} {
		c.try.Now = now
		if got := domain.JudgeRefresh(c.try); got != c.want {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}

func TestStepUpHash(t *testing.T) {
	t.Parallel()
	quote := uuid.MustParse("01937c5e-8a40-7c1b-9d7e-3f6b2a1c0d4e")
	subject := domain.StepUpSubject{QuoteID: &quote}
	got, err := domain.StepUpHash("createTransfer", subject)
	if err != nil || got != "PvBoCujg8O13A27CDGacx70UqNWo8yv_cuGbItGkEFI" {
		t.Errorf("StepUpHash = %q, %v", got, err)
	}
	if _, err := domain.StepUpHash("deleteEverything", domain.StepUpSubject{QuoteID: &quote, ID: &quote}); !errors.Is(err,
		domain.ErrStepUpUnknown) {
		t.Errorf("unknown operation: %v", err)
	}
	for operation, none := range map[string]domain.StepUpSubject{"createTransfer": {ID: &quote}, "rejectNumberClaim": subject} {
		if _, err := domain.StepUpHash(operation, none); !errors.Is(err, fault.ErrInvalid) {
			t.Errorf("%s without its object: %v", operation, err)
		}
	}
	reject, err1 := domain.StepUpHash("rejectNumberClaim", domain.StepUpSubject{ID: &quote})
	release, err2 := domain.StepUpHash("releaseNumberClaim", domain.StepUpSubject{ID: &quote})
	if err := errors.Join(err1, err2); err != nil || reject == release || reject != stepup.Hash("rejectNumberClaim", quote) {
		t.Errorf("approvals of two operations on one object: %q, %q, %v", reject, release, err)
	}
}

func submission() domain.Submission {
	return domain.Submission{Country: "KE", IDType: "NATIONAL_ID", IDNumber: "30112230", FirstName: "Amina", MiddleName: "Njeri",
		LastName: "Wanjiru", DateOfBirth: "1990-04-12"}
}

func TestSubmissionCheck(t *testing.T) {
	t.Parallel()
	today := time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC)
	for name, c := range map[string]struct {
		change func(*domain.Submission)
		field  string
	}{
		"fine":                {func(*domain.Submission) {}, ""},
		"spaces are squeezed": {func(s *domain.Submission) { s.FirstName = "  Amina   Zawadi " }, ""},
		"alien card":          {func(s *domain.Submission) { s.IDType, s.IDNumber = "ALIEN_CARD", "123456" }, ""},
		"passport lower case": {func(s *domain.Submission) { s.IDType, s.IDNumber = "PASSPORT", "a1234567" }, ""},
		"uganda": {func(s *domain.Submission) {
			s.Country, s.IDType, s.IDNumber = "UG", "NATIONAL_ID_NO_PHOTO", "CM12345678ABCD"
		}, ""},
		"rwanda has no lookup": {func(s *domain.Submission) { s.Country = "RW" }, "/id_type"},
		"unknown document":     {func(s *domain.Submission) { s.IDType = "LIBRARY_CARD" }, "/id_type"},
		"letters in number":    {func(s *domain.Submission) { s.IDNumber = "3011223A" }, "/id_number"},
		"number too long":      {func(s *domain.Submission) { s.IDNumber = "1234567890" }, "/id_number"},
		"name without letters": {func(s *domain.Submission) { s.LastName = "--" }, "/last_name"},
		"document's spelling":  {func(s *domain.Submission) { s.FirstName, s.LastName = "Ng'ang'a-José", "O’Neill Jr." }, ""},
		"acute accent":         {func(s *domain.Submission) { s.LastName = "Ng´ang´a" }, ""},
		"prime":                {func(s *domain.Submission) { s.LastName = "Ng′ang′a" }, ""},
		"phone in a name":      {func(s *domain.Submission) { s.FirstName = "Amina +254711000000" }, "/first_name"},
		"symbol in a name":     {func(s *domain.Submission) { s.LastName = "Wanjiru ✅" }, "/last_name"},
		"direction mark":       {func(s *domain.Submission) { s.MiddleName = "Njeri\u202e" }, "/middle_name"},
		"born 31 February":     {func(s *domain.Submission) { s.DateOfBirth = "1990-02-31" }, "/date_of_birth"},
		"18 today":             {func(s *domain.Submission) { s.DateOfBirth = "2008-11-23" }, ""},
		"18 tomorrow":          {func(s *domain.Submission) { s.DateOfBirth = "2008-11-24" }, "/date_of_birth"},
	} {
		s := submission()
		c.change(&s)
		_, err := s.Check(today)
		f, _ := fault.As(err)
		if (err == nil) != (c.field == "") || err != nil && (f == nil || f.Fields[0].Pointer != c.field) {
			t.Errorf("%s: %v, want field %q", name, err, c.field)
		}
	}
}

// TestApostrophes: each of them is one and the same, in what is stored and in what is compared.
func TestApostrophes(t *testing.T) {
	t.Parallel()
	today := time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC)
	for _, a := range []string{"'", "’", "‘", "`", "´", "′", "‵", "ʼ", "ʽ", "ʾ", "ʿ", "ˈ", "՚"} {
		s := submission()
		s.FirstName, s.MiddleName, s.LastName = "Wang"+a+"ombe", "", "Ng"+a+"ang"+a+"a"
		s, err := s.Check(today)
		if err != nil || s.FirstName != "Wang'ombe" || s.LastName != "Ng'ang'a" {
			t.Errorf("%s: %q, %v", a, s.FullName(), err)
		}
		for _, b := range []string{"'", "’", "‘", "`", "´", "′", "ʼ", ""} {
			r := domain.AuthorityResult{Code: "1012", Final: true, FullName: "NG" + b + "ANG" + b + "A WANG" + b + "OMBE",
				DateOfBirth: s.DateOfBirth}
			if d := domain.Decide(s, r); d.Outcome != domain.OutcomeVerified {
				t.Errorf("%s against %s: %+v", a, b, d)
			}
		}
	}
}

// TestMarksInNames: marks belong to letters. Stacks of them, and those that nobody sees, would be shown to payers and compared as nothing.
func TestMarksInNames(t *testing.T) {
	t.Parallel()
	today := time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC)
	for name, good := range map[string]bool{
		"Zoë": true, "Zoe\u0308": true, "Nguyễn": true, "Nguye\u0302\u0303n": true, "مُحَمَّد": true, "Ng'ang'a": true, "a\u0301\u0302": true,
		"Z" + strings.Repeat("\u0335", 60): false, "A" + strings.Repeat("\u0336", 3): false, "Am\u034fina": false, "Amina\ufe0f": false,
		"\u0301Amina":  false,
		"Amina \u0301": false, "Amina\u200b": false, "Amina\u202e": false,
	} {
		s := submission()
		s.FirstName = name
		if _, err := s.Check(today); (err == nil) != good {
			t.Errorf("%q: %v", name, err)
		}
	}
}

func TestIdentityKey(t *testing.T) {
	t.Parallel()
	key := func(kind, number string) string {
		return domain.Submission{Country: "KE", IDType: kind, IDNumber: number}.IdentityKey()
	}
	if key("NATIONAL_ID", "01234567") != key("NATIONAL_ID_NO_PHOTO", "1234567") {
		t.Error("the same card under two names verifies twice")
	}
	if key("NATIONAL_ID", "0000000") != key("NATIONAL_ID", "00000000") || key("NATIONAL_ID", "0") == key("NATIONAL_ID", "1") {
		t.Error("zeros")
	}
	if key("NATIONAL_ID", "1234567") == key("ALIEN_CARD", "1234567") || key("PASSPORT", "A123456") == key("PASSPORT", "0A123456") {
		t.Error("different documents share a key")
	}
}

func TestDecide(t *testing.T) {
	t.Parallel()
	ok := domain.AuthorityResult{Code: "1012", Final: true, Country: "KE", IDType: "NATIONAL_ID", IDNumber: "30112230",
		FullName: "AMINA NJERI WANJIRU", DateOfBirth: "1990-04-12"}
	for name, c := range map[string]struct {
		change func(*domain.Submission, *domain.AuthorityResult)
		want   domain.Outcome
		reason string
	}{
		"same":          {nil, "verified", ""},
		"another order": {func(_ *domain.Submission, r *domain.AuthorityResult) { r.FullName = "Wanjiru, Amina Njeri" }, "verified", ""},
		"more returned names": {func(_ *domain.Submission, r *domain.AuthorityResult) { r.FullName = "Amina Zawadi Njeri Wanjiru" }, "verified",
			""},
		"no middle name given": {func(s *domain.Submission, _ *domain.AuthorityResult) { s.MiddleName = "" }, "verified", ""},
		"diacritics and hyphen": {func(s *domain.Submission, r *domain.AuthorityResult) {
			s.FirstName, r.FullName = "Améline-Rosé", "Rose Ameline Njeri WANJIRU"
		}, "verified", ""},
		"apostrophe": {func(s *domain.Submission, r *domain.AuthorityResult) {
			s.LastName, r.FullName = "Ng'ang'a", "Amina Njeri NGANG’A"
		}, "verified", ""},
		"joined in the register": {func(s *domain.Submission, r *domain.AuthorityResult) {
			s.FirstName, s.MiddleName, s.LastName, r.FullName = "Abdi", "", "Rahman", "ABDIRAHMAN"
		}, "verified", ""},
		"joined, among others": {func(s *domain.Submission, r *domain.AuthorityResult) {
			s.FirstName, s.MiddleName, s.LastName, r.FullName = "Abdi", "Rahman", "Ali", "ALI ABDIRAHMAN HASSAN"
		}, "verified", ""},
		"joined by the customer": {func(s *domain.Submission, r *domain.AuthorityResult) {
			s.FirstName, s.MiddleName, s.LastName, r.FullName = "Abdirahman", "", "Ali", "ABDI RAHMAN HASSAN ALI"
		}, "verified", ""},
		"cut elsewhere": {func(s *domain.Submission, r *domain.AuthorityResult) {
			s.FirstName, s.MiddleName, s.LastName, r.FullName = "Abdi", "Rahman", "", "Abdirah Man"
		}, "verified", ""},
		"joined, one letter off": {func(s *domain.Submission, r *domain.AuthorityResult) {
			s.FirstName, s.MiddleName, s.LastName, r.FullName = "Abdi", "", "Rahman", "ABDULRAHMAN"
		}, "rejected", domain.ReasonMismatch},
		"joined, nearly": {func(s *domain.Submission, r *domain.AuthorityResult) {
			s.FirstName, s.MiddleName, s.LastName, r.FullName = "Abdi", "", "Rahman", "ABDIRAHMANN"
		}, "review", domain.ReasonNear},
		"the same letters in other words": {func(s *domain.Submission, r *domain.AuthorityResult) {
			s.FirstName, s.MiddleName, s.LastName, r.FullName = "Rahman", "", "Abdi", "ABDIRAH MAN"
		}, "review", domain.ReasonNear},
		"joined in another order, among others": {func(s *domain.Submission, r *domain.AuthorityResult) {
			s.FirstName, s.MiddleName, s.LastName, r.FullName = "Rahman", "", "Abdi", "ABDIRAHMAN HASSAN"
		}, "review", domain.ReasonNear},
		"a joined name counts once": {func(s *domain.Submission, r *domain.AuthorityResult) {
			s.FirstName, s.MiddleName, s.LastName, r.FullName = "Abdi", "Rahman", "Abdirahman", "ABDIRAHMAN"
		}, "rejected", domain.ReasonMismatch},
		"acute accent and prime": {func(s *domain.Submission, r *domain.AuthorityResult) {
			s.FirstName, s.LastName, r.FullName = "Wang′ombe", "Ng´ang`a", "WANGʼOMBE Njeri Ng‘ang’a"
		}, "verified", ""},
		"number without its zero": {func(s *domain.Submission, r *domain.AuthorityResult) { s.IDNumber, r.IDNumber = "01234567", "1234567" },
			"verified", ""},
		"number in groups": {func(_ *domain.Submission, r *domain.AuthorityResult) { r.IDNumber = "30 112-230" }, "verified", ""},
		"a passport's zero counts": {func(s *domain.Submission, r *domain.AuthorityResult) {
			s.IDType, r.IDType, s.IDNumber, r.IDNumber = "PASSPORT", "PASSPORT", "0123456", "123456"
		}, "review", domain.ReasonOther},
		"born at a moment": {func(_ *domain.Submission, r *domain.AuthorityResult) { r.DateOfBirth = "1990-04-12T00:00:00.000Z" }, "verified",
			""},
		"the moment in Kenya": {func(_ *domain.Submission, r *domain.AuthorityResult) { r.DateOfBirth = "1990-04-11T21:00:00Z" }, "verified",
			""},
		"with the zone": {func(_ *domain.Submission, r *domain.AuthorityResult) { r.DateOfBirth = "1990-04-12T00:00:00+03:00" },
			"verified", ""},
		"without a zone": {func(_ *domain.Submission, r *domain.AuthorityResult) { r.DateOfBirth = "1990-04-12 00:00:00" }, "verified", ""},
		"another day's moment": {func(_ *domain.Submission, r *domain.AuthorityResult) { r.DateOfBirth = "1990-04-13T00:00:00.000Z" }, "review",
			domain.ReasonBirthDate},
		"no day's beginning": {func(_ *domain.Submission, r *domain.AuthorityResult) { r.DateOfBirth = "1990-04-12T10:00:00Z" }, "review",
			domain.ReasonMissing},
		"day or month first": {func(_ *domain.Submission, r *domain.AuthorityResult) { r.DateOfBirth = "04/12/1990" }, "review",
			domain.ReasonMissing},
		"number not returned": {func(_ *domain.Submission, r *domain.AuthorityResult) { r.IDNumber = "" }, "verified", ""},
		"one letter off": {func(_ *domain.Submission, r *domain.AuthorityResult) { r.FullName = "Amina Njeri Wanjiro" }, "review",
			domain.ReasonNear},
		"two swapped": {func(_ *domain.Submission, r *domain.AuthorityResult) { r.FullName = "Amnia Njeri Wanjiru" }, "review",
			domain.ReasonNear},
		"one name missing": {func(_ *domain.Submission, r *domain.AuthorityResult) { r.FullName = "Amina Wanjiru" }, "review", domain.ReasonNear},
		"a name counts once": {func(s *domain.Submission, r *domain.AuthorityResult) {
			s.MiddleName, s.LastName, r.FullName = "", "Amina", "Amina Wanjiru"
		}, "review", domain.ReasonNear},
		"born on another day": {func(_ *domain.Submission, r *domain.AuthorityResult) { r.DateOfBirth = "1990-04-13" }, "review",
			domain.ReasonBirthDate},
		"less than half": {func(_ *domain.Submission, r *domain.AuthorityResult) { r.FullName = "Amina Otieno Odhiambo" }, "rejected",
			domain.ReasonMismatch},
		"near and another day": {func(_ *domain.Submission, r *domain.AuthorityResult) {
			r.FullName, r.DateOfBirth = "Amina Njeri", "1991-01-01"
		}, "rejected", domain.ReasonMismatch},
		"somebody else": {func(_ *domain.Submission, r *domain.AuthorityResult) { r.FullName = "Nelson Mandela" }, "rejected",
			domain.ReasonMismatch},
		"no name returned": {func(_ *domain.Submission, r *domain.AuthorityResult) { r.FullName = "" }, "review", domain.ReasonMissing},
		"no birth date":    {func(_ *domain.Submission, r *domain.AuthorityResult) { r.DateOfBirth = "" }, "review", domain.ReasonMissing},
		"another number": {func(_ *domain.Submission, r *domain.AuthorityResult) { r.IDNumber = "30112231" }, "review",
			domain.ReasonOther},
		"another document":      {func(_ *domain.Submission, r *domain.AuthorityResult) { r.IDType = "PASSPORT" }, "review", domain.ReasonOther},
		"another country":       {func(_ *domain.Submission, r *domain.AuthorityResult) { r.Country = "UG" }, "review", domain.ReasonOther},
		"provisional":           {func(_ *domain.Submission, r *domain.AuthorityResult) { r.Final = false }, "review", domain.ReasonProvisional},
		"provisional enrolment": {func(_ *domain.Submission, r *domain.AuthorityResult) { r.Code = "0814" }, "review", domain.ReasonProvisional},
		"not found":             {func(_ *domain.Submission, r *domain.AuthorityResult) { r.Code = "1013" }, "rejected", domain.ReasonNotFound},
		"format":                {func(_ *domain.Submission, r *domain.AuthorityResult) { r.Code = "1014" }, "rejected", domain.ReasonFormat},
		"authority down":        {func(_ *domain.Submission, r *domain.AuthorityResult) { r.Code = "1015" }, "retry", domain.ReasonAuthorityDown},
		"unknown code":          {func(_ *domain.Submission, r *domain.AuthorityResult) { r.Code = "1099" }, "review", domain.ReasonUnknown},
		"another product's ok":  {func(_ *domain.Submission, r *domain.AuthorityResult) { r.Code = "1020" }, "review", domain.ReasonUnknown},
		"no code":               {func(_ *domain.Submission, r *domain.AuthorityResult) { r.Code = "" }, "review", domain.ReasonUnknown},
	} {
		s, r := submission(), ok
		if c.change != nil {
			c.change(&s, &r)
		}
		if got := domain.Decide(s, r); got.Outcome != c.want || got.Reason != c.reason {
			t.Errorf("%s: %+v, want %s %s", name, got, c.want, c.reason)
		}
	}
}

// TestNeverRejected: where number and day of birth agree and the letters do, in whatever order and words, nobody is told to be somebody
// else.
func TestNeverRejected(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2)) // #nosec G404 -- the same names in each run
	for range 2000 {
		s := submission()
		words := strings.Fields(s.FullName())
		random.Shuffle(len(words), func(i, j int) { words[i], words[j] = words[j], words[i] })
		name := []rune(strings.ToUpper(strings.Join(words, "")))
		for range random.IntN(5) {
			name = slices.Insert(name, random.IntN(len(name)+1), ' ')
		}
		if d := domain.Decide(s, domain.AuthorityResult{Code: "1012", Final: true, IDNumber: "0" + s.IDNumber, FullName: string(name),
			DateOfBirth: s.DateOfBirth}); d.Outcome == domain.OutcomeRejected {
			t.Fatalf("%q against %q: %+v", s.FullName(), string(name), d)
		}
	}
}

func TestRetryAfter(t *testing.T) {
	t.Parallel()
	last := time.Duration(0)
	for n := range 60 {
		d := domain.RetryAfter(n)
		if d < last || d < 2*time.Second || d > 10*time.Minute {
			t.Fatalf("RetryAfter(%d) = %v after %v", n, d, last)
		}
		last = d
	}
	if domain.RetryAfter(3) != 2*time.Second || last != 10*time.Minute {
		t.Errorf("RetryAfter(3) = %v, RetryAfter(59) = %v", domain.RetryAfter(3), last)
	}
}
