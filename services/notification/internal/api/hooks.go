package api

import (
	"context"

	notificationapi "github.com/sendtip/sendtip/generated/notification/api"
)

// ReceiveSmsReport answers POST /v1/hooks/sm/{token}.
func (s *Server) ReceiveSmsReport(ctx context.Context, r notificationapi.ReceiveSmsReportRequestObject) (notificationapi.ReceiveSmsReportResponseObject, error) {
	if err := s.app.ReceiveSmsReport(ctx, r.Token, rawBody(ctx)); err != nil {
		return nil, err
	}
	return notificationapi.ReceiveSmsReport200JSONResponse{Received: true}, nil
}
