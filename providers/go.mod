module github.com/sendtip/sendtip/providers

go 1.26.0
