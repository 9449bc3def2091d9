module github.com/sendtip/sendtip/sql

go 1.26.0
