package authz

import (
	"slices"

	"github.com/sendtip/sendtip/generated/scopes"
)

// The schemes of the contracts.
const (
	userAuth   = "userAuth"
	apiKey     = "apiKey"
	serviceKey = "serviceKey"
)

// persona is somebody who asks. What they may is what this says; the credential is made by the platform's own doors.
type persona struct {
	name   string
	scheme string // "": comes without a credential
	role   string // of a user
	scopes []string
	dead   bool // the credential is no longer good
	owner  bool // the customer whose objects the table's places name
}

// rights are the scopes that a persona's credential stands for.
func (p persona) rights() []string {
	if p.scheme == userAuth {
		return scopes.OfRole(p.role)
	}
	return p.scopes
}

// verdict is what must come of a request, as far as it is about who asks.
type verdict string

const (
	allowed         verdict = "allowed"          // whatever the answer is, it is not about who asks
	unauthenticated verdict = "unauthenticated"  // 401
	forbidden       verdict = "forbidden"        // 403
	absent          verdict = "absent"           // 404: no such operation on this listener
	hidden          verdict = "hidden"           // 404: no such object
	spoilt          verdict = "not to be judged" // a limit or a failure answered instead
)

// expect computes the verdict of one cell.
func expect(o operation, p persona) verdict {
	switch {
	case o.internal && p.scheme != serviceKey, !o.internal && p.scheme == serviceKey:
		return absent // it is the other listener's
	case o.webhook:
		return hidden // the token of the path is not one of ours
	case len(o.security) == 0:
		return allowed
	case p.scheme == "" || p.dead:
		return unauthenticated
	case !slices.ContainsFunc(o.security, func(a alternative) bool { return a.scheme == p.scheme && all(p.rights(), a.scopes) }):
		return forbidden
	case len(ownership[o.id].owned) > 0 && p.scheme == userAuth && !p.owner:
		return hidden
	}
	return allowed
}

func all(have, want []string) bool {
	return !slices.ContainsFunc(want, func(s string) bool { return !slices.Contains(have, s) })
}
