package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestLookAtCallbacks(t *testing.T) {
	t.Parallel()
	page := "# HELP gateway_webhook_only_strangers x\ngateway_webhook_only_strangers{hook=\"cb\"} 0\n"
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, page) }))
	t.Cleanup(server.Close)
	if note, err := lookAtCallbacks(t.Context(), server.URL); err != nil || note == "" {
		t.Fatalf("%s %v", note, err)
	}
	page += "gateway_webhook_only_strangers{hook=\"st\"} 1\n"
	if _, err := lookAtCallbacks(t.Context(), server.URL); err == nil || !strings.Contains(err.Error(), "{st}") {
		t.Fatalf("strangers are not named: %v", err)
	}
}
