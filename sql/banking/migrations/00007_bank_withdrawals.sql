-- +goose Up
-- Withdrawals to linked bank accounts, by Paystack. What was written before is all M-Pesa's.
ALTER TABLE withdrawal_quotes
	ADD COLUMN bank_account_id uuid REFERENCES bank_accounts,
	DROP CONSTRAINT withdrawal_quotes_rail_check,
	ADD CONSTRAINT withdrawal_quotes_rail CHECK (rail IN ('mpesa', 'paystack') AND (rail = 'paystack') = (bank_account_id IS NOT NULL));
ALTER TABLE withdrawals
	ADD COLUMN bank_account_id uuid REFERENCES bank_accounts,
	DROP CONSTRAINT withdrawals_rail_check,
	ADD CONSTRAINT withdrawals_rail CHECK (rail IN ('mpesa', 'paystack') AND (rail = 'paystack') = (bank_account_id IS NOT NULL));

-- A question that is answered at once was asked about the withdrawal as it was at that transition: an answer that a later one has overtaken
-- decides nothing. It can be answered that there is no such payment.
ALTER TABLE rail_requests
	ADD COLUMN asked_seq integer,
	DROP CONSTRAINT rail_requests_answer_check,
	ADD CONSTRAINT rail_requests_answer CHECK (answer IN ('', 'accepted', 'refused', 'lost', 'not_found'));
