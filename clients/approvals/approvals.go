// Package approvals writes the requests of kit/approve as openapi/common.yaml has them, the same for every service's approvals.
package approvals

import (
	"encoding/json"
	"fmt"

	"github.com/sendtip/sendtip/generated/common"
	"github.com/sendtip/sendtip/kit/approve"
)

// Answer is one request on the wire.
func Answer(a approve.Approval) (common.Approval, error) {
	out := common.Approval{ApprovalID: a.ID, Action: a.Action, ObjectType: a.ObjectType, ObjectID: a.ObjectID, Digest: a.Digest,
		Reason: a.Reason, MakerID: a.Maker, MadeAt: a.MadeAt, ExpiresAt: a.ExpiresAt, State: a.State, CheckerID: a.Checker,
		DecidedAt: a.DecidedAt}
	if err := json.Unmarshal(a.Payload, &out.Payload); err != nil {
		return out, fmt.Errorf("payload of approval %s is no object", a.ID) // the cause would show its content
	}
	return out, nil
}

// Page is one page of requests on the wire; next is the cursor of the page after.
func Page(all []approve.Approval, next *string) (common.ApprovalPage, error) {
	out := common.ApprovalPage{Data: make([]common.Approval, len(all)), NextCursor: next}
	for i, a := range all {
		var err error
		if out.Data[i], err = Answer(a); err != nil {
			return out, err
		}
	}
	return out, nil
}
