module github.com/sendtip/sendtip/openapi

go 1.26.0
