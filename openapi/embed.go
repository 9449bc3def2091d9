// Package openapi carries the hand-written contracts, so that the gateway and the tests read the very files that code is generated from.
package openapi

import "embed"

// FS holds one contract per service, common.yaml and events.yaml, and the settings services.yaml and topics.yaml.
//
//go:embed *.yaml
var FS embed.FS
