package smileid

import (
	"regexp"
	"strings"
)

// idFormats are the documented formats of East African ID numbers.
var idFormats = map[string]*regexp.Regexp{
	"KE/NATIONAL_ID":          regexp.MustCompile(`^[0-9]{1,9}$`),
	"KE/NATIONAL_ID_NO_PHOTO": regexp.MustCompile(`^[0-9]{1,9}$`),
	"KE/ALIEN_CARD":           regexp.MustCompile(`^[0-9]{6,9}$`),
	"KE/PASSPORT":             regexp.MustCompile(`^[A-Z0-9]{7,9}$`),
	"KE/KRA_PIN":              regexp.MustCompile(`^[0-9]{1,9}$`),
	"UG/NATIONAL_ID_NO_PHOTO": regexp.MustCompile(`^[A-Z0-9]{14}$`),
}

var resultTexts = map[string]string{
	"1012": "ID Number Validated",
	"1013": "ID Number Not Found",
	"1014": "Unsupported ID Number Format",
	"1015": "ID Authority Unavailable",
	"0814": "Provisional Enroll - Under Review",
	"1099": "Result Under Investigation",
}

func codeFor(in request) string {
	format := idFormats[in.Country+"/"+in.IDType]
	if format == nil || !format.MatchString(in.IDNumber) {
		return "1014"
	}
	switch in.IDNumber[len(in.IDNumber)-1] {
	case '1':
		return "1013"
	case '2':
		return "1014"
	case '3':
		return "1015"
	case '6':
		return "0814"
	case '7':
		return "1099"
	default:
		return "1012"
	}
}

// result builds the unsigned body of callback and answer. Every value is a string, placeholders included.
func result(in request, number string) map[string]any {
	code := codeFor(in)
	final := "true"
	if code == "0814" {
		final = "false"
	}
	verified, returned := "Not Verified", "Not Returned"
	switch code {
	case "1012":
		verified, returned = "Verified", "Returned"
	case "1015":
		verified = "Issuer Unavailable"
	case "0814", "1099":
		verified = "Under Review"
	}
	out := map[string]any{
		"JSONVersion": "1.0.0", "SmileJobID": number, "PartnerParams": in.Params,
		"ResultType": "ID Verification", "ResultText": resultTexts[code], "ResultCode": code, "IsFinalResult": final,
		"Actions": map[string]string{"Verify_ID_Number": verified, "Return_Personal_Info": returned},
		"Country": in.Country, "IDType": in.IDType, "IDNumber": in.IDNumber,
		"ExpirationDate": "NaN-NaN-NaN", "FullName": "Not Available", "DOB": "Not Available", "Photo": "Not Available",
	}
	if code == "1012" {
		addPerson(out, in)
	}
	return out
}

func addPerson(out map[string]any, in request) {
	out["FullName"] = strings.Join(strings.Fields(in.FirstName+" "+in.MiddleName+" "+in.LastName), " ")
	out["DOB"], out["Gender"] = in.DOB, in.Gender
	out["Address"], out["IssuanceDate"] = "Not Available", "2015-03-02"
	switch in.IDNumber[len(in.IDNumber)-1] {
	case '4':
		for key, value := range in.Params {
			if text, ok := value.(string); ok && key != "job_id" && key != "user_id" {
				out[key] = text
			}
		}
	case '5':
		out["FullName"], out["DOB"], out["Gender"] = "Zakayo Mbogori Ndirangu", "1961-12-12", "M"
	}
	for _, key := range []string{"FullName", "DOB", "Gender"} {
		if out[key] == "" {
			out[key] = "Not Available"
		}
	}
}
