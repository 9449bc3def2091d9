module github.com/sendtip/sendtip/cmd/sendtip

go 1.26.0

replace (
	github.com/sendtip/sendtip/embedded => ../../embedded
	github.com/sendtip/sendtip/gateway => ../../gateway
	github.com/sendtip/sendtip/generated => ../../generated
	github.com/sendtip/sendtip/kit => ../../kit
	github.com/sendtip/sendtip/openapi => ../../openapi
	github.com/sendtip/sendtip/providers => ../../providers
	github.com/sendtip/sendtip/sandbox => ../../sandbox
	github.com/sendtip/sendtip/services/notification => ../../services/notification
	github.com/sendtip/sendtip/services/transactions => ../../services/transactions
	github.com/sendtip/sendtip/services/user => ../../services/user
	github.com/sendtip/sendtip/services/wallet => ../../services/wallet
	github.com/sendtip/sendtip/sql => ../../sql
)

require (
	github.com/apapsch/go-jsonmerge/v2 v2.0.0 // indirect
	github.com/google/uuid v1.6.0 // indirect
	github.com/oapi-codegen/runtime v1.8.0 // indirect
)
