package main

import (
	"bytes"
	"fmt"
	"regexp"
)

// edit adds lines of the new service to a file, before or behind a text that must be there once.
type edit struct {
	file   string
	before string // the text that the lines go before, or
	behind string // behind
	lines  string // a template
}

// made is what a new service does before somebody says it.
const made = "items of customers, as `make service` made it"

// edits are all lines that lists of services need. test/docs (TestEveryServiceIsEverywhere) names one that is missing.
var edits = []edit{
	{file: "openapi/services.yaml", before: "  gateway:\n    port:", lines: "  «.Name»:\n    port: «.Port»\n    scopes: []\n"},
	{file: "openapi/services.yaml", before: "\n# What a role lets a user do",
		lines: "  \"«.Name»:read\": read one's own items\n  \"«.Name»:write\": create items\n"},
	{file: "openapi/services.yaml", behind: "  customer: [", lines: `"«.Name»:read", "«.Name»:write", `},
	{file: "openapi/topics.yaml", before: "  - {name: sendtip.gateway.v1",
		lines: "  - {name: sendtip.«.Name».v1, partitions: 6, retention_hours: 168}\n"},
	{file: "openapi/events.yaml", behind: "components:\n  schemas:\n", lines: `    «.Title»ItemCreated:
      type: object
      description: "«.Name».item_created: a customer has created an item."
      required: [item_id, user_id]
      properties:
        item_id:
          $ref: "common.yaml#/components/schemas/Uuid"
        user_id:
          $ref: "common.yaml#/components/schemas/Uuid"
`},
	{file: "go.work", before: "\t./sql\n", lines: "\t./services/«.Name»\n"},
	{file: "cmd/sendtip/go.mod", before: "\tgithub.com/sendtip/sendtip/services/user =>",
		lines: "\tgithub.com/sendtip/sendtip/services/«.Name» => ../../services/«.Name»\n"},
	{file: "test/go.mod", before: "\tgithub.com/sendtip/sendtip/services/user =>",
		lines: "\tgithub.com/sendtip/sendtip/services/«.Name» => ../services/«.Name»\n"},
	{file: "cmd/sendtip/platform/services.go", before: "\tgatewaysql \"", lines: "\t\"github.com/sendtip/sendtip/services/«.Name»\"\n"},
	{file: "cmd/sendtip/platform/services.go", before: "\tgatewaysql \"", lines: "\t«.Name»sql \"github.com/sendtip/sendtip/sql/«.Name»\"\n"},
	{file: "cmd/sendtip/platform/services.go", before: "}\n\ntype deployable",
		lines: "\t\"«.Name»\": of(«.Name».LoadConfig, «.Name».New, «.Name»sql.Migrations),\n"},
	{file: "docker-compose.yml", before: "      - keys-postgres:/dealt/postgres\n", lines: "      - keys-«.Name»:/dealt/«.Name»\n"},
	{file: "docker-compose.yml", before: "    volumes: [\"keys-gateway:/keys:ro\"]\n",
		lines: "      SENDTIP_UPSTREAM_«.Upper»: http://«.Name»:«.Port»\n"},
	{file: "docker-compose.yml", before: "  sandbox:\n    <<: *program\n", lines: `  «.Name»:
    <<: *service
    command: [«.Name»]
    environment:
      <<: *settings
      SENDTIP_KAFKA_USER: «.Name»
      SENDTIP_LISTEN: ":«.Port»"
      SENDTIP_OPS_LISTEN: ":«.Ops»"
    volumes: ["keys-«.Name»:/keys:ro"]
    healthcheck: {test: [CMD, curl, -fsS, "http://127.0.0.1:«.Ops»/readyz"], interval: 5s, timeout: 4s, retries: 24}

`},
	{file: "docker-compose.yml", before: "  keys-postgres:\n", lines: "  keys-«.Name»:\n"},
	{file: "test/authz/ownership.go", before: "\n\t\"listNotifications\": self",
		lines: "\n\t\"create«.Title»Item\": self, \"list«.Title»Items\": self,\n" +
			"\t\"get«.Title»Item\": made(\"create«.Title»Item\", \"item_id\"),\n"},
	{file: "docs/events.md", before: "| `sendtip.gateway.v1` |", lines: "| `sendtip.«.Name».v1` | item id | 6 | 7 days |\n"},
	{file: "docs/events.md", behind: "| `user.status_changed` | user_id, status, tier, version | ", lines: "«.Name», "},
	{file: "docs/api.md", before: "`openWallet`, `submitKyc`", lines: "`create«.Title»Item`, "},
	{file: "docs/events.md", before: "| `gateway.api_key_revoked` |", lines: "| `«.Name».item_created` | item_id, user_id | – |\n"},
	{file: "README.md", before: ": `/healthz`, `/readyz`, `/metrics` |", lines: ", «.Ops» «.Name»"},
	{file: "README.md", before: "\n## Read on\n",
		lines: "| [«.Name»](services/«.Name»/README.md) | here | " + made + " |\n"},
}

func (e edit) apply(text []byte, f facts) ([]byte, error) {
	anchor := []byte(e.before + e.behind)
	if n := bytes.Count(text, anchor); n != 1 {
		return nil, fmt.Errorf("%s: the text %q is there %d times, not once: say in test/scaffold/edits.go where a new service goes", e.file,
			anchor, n)
	}
	lines, err := fill(e.lines, f)
	if err != nil {
		return nil, err
	}
	at := bytes.Index(text, anchor)
	if e.behind != "" {
		at += len(anchor)
	}
	return append(text[:at:at], append(lines, text[at:]...)...), nil
}

// here turns the row of a service that was to come into that of one that is here.
func here(readme []byte, f facts) []byte {
	planned := regexp.MustCompile(`(?m)^\| ` + f.Name + ` \| to come \| (.+) \|\n`)
	m := planned.FindSubmatch(readme)
	if m == nil {
		return readme
	}
	return bytes.Replace(planned.ReplaceAll(readme, nil), []byte(made), m[1], 1)
}
