package api

import (
	"context"

	openapi_types "github.com/oapi-codegen/runtime/types"

	walletapi "github.com/sendtip/sendtip/generated/wallet/api"

	"github.com/sendtip/sendtip/services/wallet/internal/domain"
)

func reservation(r domain.Reservation) walletapi.LimitReservation {
	return walletapi.LimitReservation{ReservationID: r.ID, UserID: r.UserID, Kind: r.Kind, Amount: wire(r.Amount), Status: r.Status,
		Day: openapi_types.Date{Time: r.Period.Day}, CreatedAt: r.CreatedAt}
}

// PutLimitReservation answers PUT /v1/internal/limit-reservations/{reservation_id}.
func (s *Server) PutLimitReservation(ctx context.Context,
	r walletapi.PutLimitReservationRequestObject) (walletapi.PutLimitReservationResponseObject, error) {
	m, err := amount(r.Body.Amount)
	if err != nil {
		return nil, err
	}
	got, created, err := s.app.PutLimitReservation(ctx, r.ReservationID,
		domain.Demand{UserID: r.Body.UserID, Kind: r.Body.Kind, Amount: m})
	if err != nil {
		return nil, err
	}
	if created {
		return walletapi.PutLimitReservation201JSONResponse(reservation(got)), nil
	}
	return walletapi.PutLimitReservation200JSONResponse(reservation(got)), nil
}

// CommitLimitReservation answers POST /v1/internal/limit-reservations/{reservation_id}/commitment.
func (s *Server) CommitLimitReservation(ctx context.Context,
	r walletapi.CommitLimitReservationRequestObject) (walletapi.CommitLimitReservationResponseObject, error) {
	got, err := s.app.CommitLimitReservation(ctx, r.ReservationID)
	if err != nil {
		return nil, err
	}
	return walletapi.CommitLimitReservation200JSONResponse(reservation(got)), nil
}

// ReleaseLimitReservation answers POST /v1/internal/limit-reservations/{reservation_id}/release.
func (s *Server) ReleaseLimitReservation(ctx context.Context,
	r walletapi.ReleaseLimitReservationRequestObject) (walletapi.ReleaseLimitReservationResponseObject, error) {
	if err := s.app.ReleaseLimitReservation(ctx, r.ReservationID); err != nil {
		return nil, err
	}
	return walletapi.ReleaseLimitReservation204Response{}, nil
}

// PriceOperation answers POST /v1/internal/prices.
func (s *Server) PriceOperation(ctx context.Context,
	r walletapi.PriceOperationRequestObject) (walletapi.PriceOperationResponseObject, error) {
	m, err := amount(r.Body.Amount)
	if err != nil {
		return nil, err
	}
	c := domain.Customer{Country: r.Body.Country, Tier: int16(r.Body.Tier)}
	p, err := s.app.PriceOperation(ctx, c, r.Body.Kind, m)
	if err != nil {
		return nil, err
	}
	return walletapi.PriceOperation200JSONResponse{Fee: wire(p.Fee), Excise: wire(p.Excise), TariffVersion: p.Version}, nil
}
