// Package app holds the use cases of the notification service: queueing the messages that an event causes, sending them, taking
// delivery reports, and showing customers their own messages.
package app

import (
	"context"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/prometheus/client_golang/prometheus"

	notificationdb "github.com/sendtip/sendtip/generated/notification/db"
	userclient "github.com/sendtip/sendtip/generated/user/client"
	"github.com/sendtip/sendtip/kit/event"
	"github.com/sendtip/sendtip/kit/hook"
	"github.com/sendtip/sendtip/kit/outbox"
	"github.com/sendtip/sendtip/kit/page"
	"github.com/sendtip/sendtip/kit/seal"
	"github.com/sendtip/sendtip/kit/service"
	"github.com/sendtip/sendtip/providers/africastalking"

	"github.com/sendtip/sendtip/services/notification/internal/domain"
)

// topic is where this service publishes.
const topic = "sendtip.notification.v1"

// smsReports is where the SMS gateway sends its delivery reports, all to one address: it is told once, in its dashboard.
var smsReports = hook.Address{Path: "/v1/hooks/sm/", Token: "sms-report", Sealed: "notification.report:"}

// HookPath returns the path that the SMS gateway must be told for its delivery reports.
func HookPath(s *seal.Sealer) string { return smsReports.Secret(s) }

// Deps are what the use cases work with.
type Deps struct {
	*service.Parts

	Users    *userclient.ClientWithResponses
	SMS      *africastalking.Client
	SenderID string // registered sender of SMS; "" is the gateway's shared one
	Mail     *Mailer
	Texts    *domain.Texts
}

// App runs the use cases. It is safe for concurrent use.
type App struct {
	Deps
	q     *notificationdb.Queries
	pages *page.Pager
	hook  *hook.Hook

	messages *prometheus.CounterVec
	reports  *prometheus.CounterVec
	alarms   *prometheus.CounterVec
}

// New returns the use cases and registers their metrics.
func New(d Deps) *App {
	a := &App{
		Deps:  d,
		q:     notificationdb.New(),
		pages: page.New(d.Sealer),
		messages: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "notification_messages_total", Help: "Messages by channel, template and the state they came to.",
		}, []string{"channel", "template", "state"}),
		reports: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "notification_reports_total", Help: "Delivery reports by what became of them.",
		}, []string{"outcome"}),
		alarms: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "notification_alarms_total", Help: "Things that a person must look at.",
		}, []string{"alarm"}),
	}
	a.hook = hook.New(smsReports, d.Sealer, d.Pool, d.Jobs, a.reports.WithLabelValues("wrong_token"))
	d.Registry.MustRegister(a.messages, a.reports, a.alarms)
	return a
}

// The alarms.
const (
	alarmNeverSent        = "message_never_sent"
	alarmUnreadableReport = "unreadable_report"
	alarmProviderID       = "provider_id_reused"
	alarmLostText         = "lost_text"
)

// alarm says that a person must look at an object.
func (a *App) alarm(ctx context.Context, what string, object uuid.UUID) {
	a.alarms.WithLabelValues(what).Inc()
	a.Log.ErrorContext(ctx, "a person must look", "alarm", what, "object", object)
}

func (a *App) count(n notificationdb.Notification, state domain.State) {
	a.messages.WithLabelValues(n.Channel, n.Template, string(state)).Inc()
}

// publish appends one of this service's events. The notification's row is locked by the caller.
func (a *App) publish(ctx context.Context, tx pgx.Tx, eventType string, key uuid.UUID, data any) error {
	e, err := event.New(topic, eventType, key.String(), a.Now(), data)
	if err != nil {
		return fmt.Errorf("event %s: %w", eventType, err)
	}
	return outbox.Append(ctx, tx, e)
}
