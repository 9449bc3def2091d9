package domain

// reasons are the sentences behind the reason codes of events (of top-ups, transfers and identity checks). A code that has no sentence
// gets the general one: what a peer writes is never shown as it is, and some reasons, such as an ID that somebody else has used, are
// not for a text message.
var reasons = map[string]map[string]string{
	"en": {
		"":                         "it could not be completed",
		"insufficient_funds":       "your balance was too low",
		"insufficient_mpesa_funds": "the M-Pesa balance was too low",
		"mpesa_limit":              "an M-Pesa limit was reached",
		"try_later":                "M-Pesa was busy; please try again later",
		"no_answer":                "the M-Pesa request was not answered",
		"cancelled_by_customer":    "it was cancelled on the phone",
		"cancelled_in_app":         "you cancelled it",
		"receiver_not_registered":  "the number has no M-Pesa",
		"receiver_balance_limit":   "the M-Pesa account cannot hold this amount",
		"wrong_pin":                "a wrong PIN was entered",
		"declined_by_mpesa":        "M-Pesa declined it",
		"phone_required":           "your account has no phone number that can be used",
		"phone_not_supported":      "this number cannot pay with M-Pesa",
		"limit_exceeded":           "the amount is above your limit",
		"over_maximum":             "the receiving wallet cannot hold this amount",
		"account_frozen":           "an account is blocked",
		"id_not_found":             "the ID number was not found",
		"id_format_refused":        "the ID number is not valid",
		"identity_mismatch":        "the details do not match the ID",
		"birth_date_differs":       "the date of birth does not match",
		"face_mismatch":            "the photo does not match the ID",
		"document_unreadable":      "the document could not be read",
		"customer":                 "the change was cancelled in the app",
		"pin_reset":                "a new PIN was set meanwhile",
		"payment_declined":         "the payment was declined",
		"page_lost":                "the payment page could not be opened",
		"number_taken":             "the new number has another account",
		"bank_busy":                "payments to banks were not possible; please try again later",
		"bank_refused":             "the bank did not accept it",
		"bank_account_changed":     "the bank account has another owner than the one you linked",
		"reversed_by_rail":         "the bank sent it back",
	},
	"sw": {
		"":                         "haikuwezekana kukamilisha",
		"insufficient_funds":       "salio lako halikutosha",
		"insufficient_mpesa_funds": "salio la M-Pesa halikutosha",
		"mpesa_limit":              "kikomo cha M-Pesa kimefikiwa",
		"try_later":                "M-Pesa imelemewa, jaribu tena baadaye",
		"no_answer":                "ombi la M-Pesa halikujibiwa",
		"cancelled_by_customer":    "lilighairiwa kwenye simu",
		"cancelled_in_app":         "umelighairi",
		"receiver_not_registered":  "nambari haina M-Pesa",
		"receiver_balance_limit":   "akaunti ya M-Pesa haiwezi kupokea kiasi hiki",
		"wrong_pin":                "PIN iliyowekwa si sahihi",
		"declined_by_mpesa":        "lilikataliwa na M-Pesa",
		"phone_required":           "akaunti yako haina nambari ya simu inayoweza kutumika",
		"phone_not_supported":      "nambari hii haiwezi kulipa kwa M-Pesa",
		"limit_exceeded":           "kiasi hiki kinazidi kikomo chako",
		"over_maximum":             "mpokeaji hawezi kupokea kiasi hiki",
		"account_frozen":           "akaunti imezuiwa",
		"id_not_found":             "nambari ya kitambulisho haikupatikana",
		"id_format_refused":        "nambari ya kitambulisho si sahihi",
		"identity_mismatch":        "maelezo hayalingani na kitambulisho",
		"birth_date_differs":       "tarehe ya kuzaliwa hailingani",
		"face_mismatch":            "picha hailingani na kitambulisho",
		"document_unreadable":      "hati haikusomeka",
		"customer":                 "badiliko lilighairiwa kwenye app",
		"pin_reset":                "PIN mpya iliwekwa",
		"payment_declined":         "malipo yalikataliwa",
		"page_lost":                "ukurasa wa malipo haukufunguka",
		"number_taken":             "nambari mpya ina akaunti nyingine",
		"bank_busy":                "malipo kwa benki hayakuwezekana, jaribu tena baadaye",
		"bank_refused":             "benki haikukubali",
		"bank_account_changed":     "akaunti ya benki ina mwenye mwingine kuliko uliyeunganisha",
		"reversed_by_rail":         "benki imeirudisha",
	},
}

// aliases are codes that say the same to a customer.
var aliases = map[string]string{
	"wallet_frozen": "account_frozen", "account_closed": "account_frozen", "customer_suspended": "account_frozen",
	"recipient_limit": "over_maximum", "receiver_unknown": "receiver_not_registered",
	"below_minimum": "mpesa_limit", "above_maximum": "mpesa_limit", "daily_limit": "mpesa_limit",
	"no_float": "try_later", "balance_overflow": "over_maximum",
	"limit_per_transaction": "limit_exceeded", "limit_per_day": "limit_exceeded", "limit_per_month": "limit_exceeded",
	"name_near_match": "identity_mismatch", "details_missing": "identity_mismatch",
}

func reason(language, code string) string {
	if alias, ok := aliases[code]; ok {
		code = alias
	}
	if text, ok := reasons[language][code]; ok {
		return text
	}
	return reasons[language][""]
}
