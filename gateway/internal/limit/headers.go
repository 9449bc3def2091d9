package limit

import (
	"fmt"
	"math"
	"net/http"
	"strings"
	"time"
)

// WriteHeaders tells the client its limits as draft-ietf-httpapi-ratelimit-headers says; a second call of one request adds to the first.
func (v Verdict) WriteHeaders(h http.Header) {
	if len(v.Answers) == 0 {
		return
	}
	var policies, states strings.Builder
	policies.WriteString(h.Get("RateLimit-Policy"))
	states.WriteString(h.Get("RateLimit"))
	for _, a := range v.Answers {
		if policies.Len() > 0 {
			policies.WriteString(", ")
			states.WriteString(", ")
		}
		fmt.Fprintf(&policies, `"%s";q=%d;w=%d`, a.Policy.Name, a.Policy.Limit, int(a.Policy.Window.Seconds()))
		fmt.Fprintf(&states, `"%s";r=%d;t=%d`, a.Policy.Name, a.Remaining, seconds(a.Reset))
	}
	h.Set("RateLimit-Policy", policies.String())
	h.Set("RateLimit", states.String())
}

func seconds(d time.Duration) int { return int(math.Ceil(d.Seconds())) }
