-- +goose Up

-- Operators list verifications by state: those that wait for a person, and those that were rejected and may be overridden.
CREATE INDEX kyc_verifications_status ON kyc_verifications (status, id);
DROP INDEX kyc_verifications_review;
