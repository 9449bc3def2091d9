module github.com/sendtip/sendtip/test

go 1.26.0

replace (
	github.com/sendtip/sendtip/openapi => ../openapi
	github.com/sendtip/sendtip/generated => ../generated
	github.com/sendtip/sendtip/sql => ../sql
	github.com/sendtip/sendtip/kit => ../kit
	github.com/sendtip/sendtip/embedded => ../embedded
	github.com/sendtip/sendtip/providers => ../providers
	github.com/sendtip/sendtip/sandbox => ../sandbox
	github.com/sendtip/sendtip/gateway => ../gateway
	github.com/sendtip/sendtip/services/user => ../services/user
	github.com/sendtip/sendtip/services/wallet => ../services/wallet
	github.com/sendtip/sendtip/services/transactions => ../services/transactions
	github.com/sendtip/sendtip/services/notification => ../services/notification
	github.com/sendtip/sendtip/cmd/sendtip => ../cmd/sendtip
)
