package api

import (
	"context"
	"fmt"
	"io"

	notificationapi "github.com/sendtip/sendtip/generated/notification/api"
)

// ReceiveSmsReport answers POST /v1/hooks/sm/{token}.
func (s *Server) ReceiveSmsReport(ctx context.Context,
	r notificationapi.ReceiveSmsReportRequestObject) (notificationapi.ReceiveSmsReportResponseObject, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, fmt.Errorf("read report: %w", err)
	}
	if err := s.app.ReceiveSmsReport(ctx, r.Token, body); err != nil {
		return nil, err
	}
	return notificationapi.ReceiveSmsReport200JSONResponse{Received: true}, nil
}
