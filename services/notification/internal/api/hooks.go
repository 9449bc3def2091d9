package api

import (
	"context"

	notificationapi "github.com/sendtip/sendtip/generated/notification/api"
	"github.com/sendtip/sendtip/kit/hook"
)

// ReceiveSmsReport answers POST /v1/hooks/sm/{token}.
func (s *Server) ReceiveSmsReport(ctx context.Context,
	r notificationapi.ReceiveSmsReportRequestObject) (notificationapi.ReceiveSmsReportResponseObject, error) {
	body, err := hook.Read(r.Body)
	if err != nil {
		return nil, err
	}
	if err := s.app.ReceiveSmsReport(ctx, r.Token, body); err != nil {
		return nil, err
	}
	return notificationapi.ReceiveSmsReport200JSONResponse{Received: true}, nil
}
