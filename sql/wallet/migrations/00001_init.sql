-- +goose Up

-- What user's events say about a customer. Tier and status carry their own versions: a replayed tier must not hide a suspension.
CREATE TABLE customers (
	user_id        uuid        PRIMARY KEY,
	status         text        NOT NULL CHECK (status IN ('active', 'suspended')),
	status_version bigint      NOT NULL,
	tier           smallint    NOT NULL CHECK (tier BETWEEN 0 AND 9),
	country        text        NOT NULL DEFAULT '', -- empty until the identity is verified
	version        bigint      NOT NULL,            -- of tier and country
	updated_at     timestamptz NOT NULL
);

-- A wallet's id is the id of its account at the ledger, which alone knows the balance.
CREATE TABLE wallets (
	id              uuid        PRIMARY KEY,
	user_id         uuid        NOT NULL REFERENCES customers,
	currency        text        NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
	status          text        NOT NULL CHECK (status IN ('opening', 'open')),
	deposit_account text        UNIQUE CHECK (deposit_account ~ '^W[A-Z2-7]{11}$'), -- what a payer types at the paybill
	ledger_version  bigint      NOT NULL DEFAULT -1, -- version of the customer whose tier the ledger's maximum follows
	created_at      timestamptz NOT NULL,
	opened_at       timestamptz,
	CONSTRAINT wallets_one_per_currency UNIQUE (user_id, currency),
	CHECK ((status = 'open') = (opened_at IS NOT NULL))
);

-- Prices and limits: effective-dated rows that only migrations add. The row with the latest effective_from that is not in the future counts.
CREATE TABLE tariffs (
	id             integer     PRIMARY KEY,
	country        text        NOT NULL,
	kind           text        NOT NULL,
	currency       text        NOT NULL,
	excise_included boolean    NOT NULL DEFAULT false, -- true: the fee contains the duty; false: the duty comes on top
	effective_from timestamptz NOT NULL,
	UNIQUE (country, kind, currency, effective_from)
);

-- The band with the lowest up_to_minor that is not below the amount gives the fee; above the last band there is no price.
CREATE TABLE tariff_bands (
	tariff_id   integer NOT NULL REFERENCES tariffs,
	up_to_minor bigint  NOT NULL CHECK (up_to_minor > 0),
	fee_minor   bigint  NOT NULL CHECK (fee_minor >= 0),
	PRIMARY KEY (tariff_id, up_to_minor)
);

CREATE TABLE taxes (
	country        text        NOT NULL,
	tax            text        NOT NULL,
	rate_ppm       bigint      NOT NULL CHECK (rate_ppm BETWEEN 0 AND 1000000), -- parts per million of the fee
	effective_from timestamptz NOT NULL,
	PRIMARY KEY (country, tax, effective_from)
);

CREATE TABLE limits (
	country               text        NOT NULL,
	tier                  smallint    NOT NULL,
	kind                  text        NOT NULL,
	currency              text        NOT NULL,
	per_transaction_minor bigint      NOT NULL CHECK (per_transaction_minor >= 0),
	per_day_minor         bigint      NOT NULL CHECK (per_day_minor >= 0),
	per_month_minor       bigint      NOT NULL CHECK (per_month_minor >= 0),
	effective_from        timestamptz NOT NULL,
	PRIMARY KEY (country, tier, kind, currency, effective_from)
);

CREATE TABLE balance_limits (
	country        text        NOT NULL,
	tier           smallint    NOT NULL,
	currency       text        NOT NULL,
	maximum_minor  bigint      NOT NULL CHECK (maximum_minor >= 0),
	effective_from timestamptz NOT NULL,
	PRIMARY KEY (country, tier, currency, effective_from)
);

-- Counters of what a customer used, per local day and month. The row is locked by the statement that adds to it.
CREATE TABLE limit_usage (
	user_id      uuid   NOT NULL,
	kind         text   NOT NULL,
	currency     text   NOT NULL,
	span         text   NOT NULL CHECK (span IN ('day', 'month')),
	starts_on    date   NOT NULL,
	amount_minor bigint NOT NULL CHECK (amount_minor >= 0),
	PRIMARY KEY (user_id, kind, currency, span, starts_on)
) WITH (fillfactor = 70);

-- One share of a limit, keyed by the row that uses it (transfer, top-up).
CREATE TABLE limit_reservations (
	id           uuid        PRIMARY KEY,
	user_id      uuid        NOT NULL,
	kind         text        NOT NULL,
	currency     text        NOT NULL,
	amount_minor bigint      NOT NULL CHECK (amount_minor > 0),
	day          date        NOT NULL,
	month        date        NOT NULL,
	status       text        NOT NULL CHECK (status IN ('reserved', 'committed', 'released')),
	created_at   timestamptz NOT NULL,
	closed_at    timestamptz
) WITH (fillfactor = 70);

CREATE TABLE transfer_quotes (
	id                    uuid        PRIMARY KEY,
	user_id               uuid        NOT NULL,
	wallet_id             uuid        NOT NULL REFERENCES wallets,
	recipient_user_id     uuid        NOT NULL,
	recipient_wallet_id   uuid        NOT NULL REFERENCES wallets,
	recipient_name_sealed bytea,
	currency              text        NOT NULL,
	amount_minor          bigint      NOT NULL CHECK (amount_minor > 0),
	fee_minor             bigint      NOT NULL CHECK (fee_minor >= 0),
	excise_minor          bigint      NOT NULL CHECK (excise_minor >= 0),
	created_at            timestamptz NOT NULL,
	expires_at            timestamptz NOT NULL,
	CHECK (user_id <> recipient_user_id),
	CHECK (wallet_id <> recipient_wallet_id)
);
CREATE INDEX transfer_quotes_expires ON transfer_quotes (expires_at);

CREATE TABLE transfers (
	id                    uuid        PRIMARY KEY,
	quote_id              uuid        NOT NULL REFERENCES transfer_quotes,
	user_id               uuid        NOT NULL,
	wallet_id             uuid        NOT NULL REFERENCES wallets,
	recipient_user_id     uuid        NOT NULL,
	recipient_wallet_id   uuid        NOT NULL REFERENCES wallets,
	recipient_name_sealed bytea,
	currency              text        NOT NULL,
	amount_minor          bigint      NOT NULL CHECK (amount_minor > 0),
	fee_minor             bigint      NOT NULL CHECK (fee_minor >= 0),
	excise_minor          bigint      NOT NULL CHECK (excise_minor >= 0),
	status                text        NOT NULL CHECK (status IN ('created', 'completed', 'failed')),
	failure_code          text        NOT NULL DEFAULT '',
	note_sealed           bytea,
	client_reference      text,
	idempotency_id        uuid        NOT NULL,
	job_id                bigint      NOT NULL,
	ledger_transaction_id uuid,
	created_at            timestamptz NOT NULL,
	closed_at             timestamptz,
	CONSTRAINT transfers_quote_once UNIQUE (quote_id),
	CHECK ((status = 'created') = (closed_at IS NULL)),
	CHECK ((status = 'completed') = (ledger_transaction_id IS NOT NULL)),
	CHECK ((status = 'failed') = (failure_code <> ''))
) WITH (fillfactor = 80);
CREATE INDEX transfers_user ON transfers (user_id, id DESC);
CREATE INDEX transfers_reference ON transfers (user_id, client_reference, id DESC) WHERE client_reference IS NOT NULL;
CREATE INDEX transfers_created ON transfers (created_at) WHERE status = 'created';

-- A step-up token approves once.
CREATE TABLE step_ups (
	jti         text        CONSTRAINT step_ups_once PRIMARY KEY,
	transfer_id uuid        NOT NULL,
	expires_at  timestamptz NOT NULL
);
CREATE INDEX step_ups_expires ON step_ups (expires_at);

CREATE TABLE topups (
	id                    uuid        PRIMARY KEY,
	user_id               uuid        NOT NULL,
	wallet_id             uuid        NOT NULL REFERENCES wallets,
	currency              text        NOT NULL,
	amount_minor          bigint      NOT NULL CHECK (amount_minor > 0),
	phone_sealed          bytea, -- absent: the customer's own number is asked for when the prompt is sent
	account_reference     text        NOT NULL CONSTRAINT topups_account_reference UNIQUE CHECK (account_reference ~ '^T[A-Z2-7]{11}$'),
	status                text        NOT NULL CHECK (status IN ('stored', 'requested', 'prompted', 'paid', 'failed', 'expired', 'unknown')),
	failure_code          text        NOT NULL DEFAULT '',
	checkout_sealed       bytea, -- Safaricom's CheckoutRequestID ends with nine digits of the phone
	checkout_index        bytea       CONSTRAINT topups_checkout_index UNIQUE,
	merchant_request_id   text,
	receipt               text        CONSTRAINT topups_receipt UNIQUE,
	credit                text        NOT NULL DEFAULT 'none' CHECK (credit IN ('none', 'due', 'wallet', 'suspense')),
	ledger_transaction_id uuid,
	created_at            timestamptz NOT NULL,
	prompted_at           timestamptz,
	updated_at            timestamptz NOT NULL,
	CHECK ((status = 'paid') = (credit <> 'none')),
	CHECK ((credit IN ('wallet', 'suspense')) = (ledger_transaction_id IS NOT NULL))
) WITH (fillfactor = 70);
CREATE INDEX topups_user ON topups (user_id, id DESC);
CREATE INDEX topups_open ON topups (created_at) WHERE status IN ('requested', 'prompted', 'unknown') OR credit = 'due';

-- A paybill payment that nobody asked for: an account number of a wallet, a reference that was used again, or one that nobody knows.
CREATE TABLE deposits (
	id                    uuid        PRIMARY KEY,
	receipt               text        NOT NULL CONSTRAINT deposits_receipt UNIQUE,
	user_id               uuid,
	wallet_id             uuid REFERENCES wallets, -- absent: no owner is known
	currency              text        NOT NULL,
	amount_minor          bigint      NOT NULL CHECK (amount_minor > 0),
	credit                text        NOT NULL CHECK (credit IN ('due', 'wallet', 'suspense')),
	ledger_transaction_id uuid,
	created_at            timestamptz NOT NULL,
	closed_at             timestamptz,
	CHECK ((credit = 'due') = (ledger_transaction_id IS NULL)),
	CHECK (credit <> 'wallet' OR wallet_id IS NOT NULL)
);
CREATE INDEX deposits_due ON deposits (created_at) WHERE credit = 'due';

-- Every M-Pesa receipt that was ever accounted for, and by what: the guard that one payment is credited once.
CREATE TABLE receipts (
	receipt      text        CONSTRAINT receipts_once PRIMARY KEY CHECK (length(receipt) BETWEEN 1 AND 64),
	topup_id     uuid,
	deposit_id   uuid,
	source       text        NOT NULL CHECK (source IN ('callback', 'c2b')),
	amount_minor bigint      NOT NULL CHECK (amount_minor > 0),
	created_at   timestamptz NOT NULL,
	CHECK (num_nonnulls(topup_id, deposit_id) = 1)
);

-- What providers posted, sealed as it came, and what we made of it.
CREATE TABLE callbacks (
	id          uuid        PRIMARY KEY,
	kind        text        NOT NULL CHECK (kind IN ('stk', 'c2b')),
	provider_id text        NOT NULL,
	body_hash   bytea       NOT NULL,
	body_sealed bytea       NOT NULL,
	topup_id    uuid,
	received_at timestamptz NOT NULL,
	judged_at   timestamptz,
	verdict     text,
	CONSTRAINT callbacks_once UNIQUE (kind, provider_id, body_hash),
	CHECK ((judged_at IS NULL) = (verdict IS NULL))
);

-- +goose StatementBegin
DO $$
DECLARE app text := regexp_replace(current_user, '_owner$', '_app');
BEGIN
	EXECUTE format('REVOKE INSERT ON tariffs, tariff_bands, taxes, limits, balance_limits FROM %I', app);
	EXECUTE format('GRANT UPDATE (status, status_version, tier, country, version, updated_at) ON customers TO %I', app);
	EXECUTE format('GRANT UPDATE (status, ledger_version, opened_at) ON wallets TO %I', app);
	EXECUTE format('GRANT UPDATE (amount_minor), DELETE ON limit_usage TO %I', app);
	EXECUTE format('GRANT UPDATE (status, closed_at) ON limit_reservations TO %I', app);
	EXECUTE format('GRANT UPDATE (expires_at), DELETE ON transfer_quotes TO %I', app);
	EXECUTE format('GRANT UPDATE (status, failure_code, ledger_transaction_id, closed_at) ON transfers TO %I', app);
	EXECUTE format('GRANT DELETE ON step_ups TO %I', app);
	EXECUTE format('GRANT UPDATE (phone_sealed, status, failure_code, checkout_sealed, checkout_index, merchant_request_id, receipt, credit,
		ledger_transaction_id, prompted_at, updated_at) ON topups TO %I', app);
	EXECUTE format('GRANT UPDATE (credit, ledger_transaction_id, closed_at) ON deposits TO %I', app);
	EXECUTE format('GRANT UPDATE (judged_at, verdict) ON callbacks TO %I', app);
END $$;
-- +goose StatementEnd

-- Kenya: person-to-person prices in force since August 2023, excise duty of 15 % on the fee (Finance Act 2023). A fee is for the amount sent.
INSERT INTO tariffs (id, country, kind, currency, effective_from) VALUES
	(1, 'KE', 'transfer', 'KES', '2023-08-01 00:00:00+03'),
	(2, 'KE', 'transfer', 'UGX', '2023-08-01 00:00:00+03'),
	(3, 'KE', 'transfer', 'RWF', '2023-08-01 00:00:00+03'),
	(4, 'KE', 'transfer', 'USD', '2023-08-01 00:00:00+03'),
	(5, 'KE', 'topup', 'KES', '2023-08-01 00:00:00+03');
INSERT INTO tariff_bands (tariff_id, up_to_minor, fee_minor) VALUES
	(1, 10000, 0), (1, 50000, 700), (1, 100000, 1300), (1, 150000, 2300), (1, 250000, 3300), (1, 350000, 5300),
	(1, 500000, 5700), (1, 750000, 7800), (1, 1000000, 9000), (1, 1500000, 10000), (1, 2000000, 10500), (1, 25000000, 10800),
	-- Wallets in other currencies send free of charge until the operator sets a price.
	(2, 7000000, 0), (3, 2780000, 0), (4, 190000, 0),
	-- A top-up costs the customer nothing here; M-Pesa's own paybill charge is not ours to take.
	(5, 25000000, 0);
INSERT INTO taxes (country, tax, rate_ppm, effective_from) VALUES ('KE', 'excise', 150000, '2023-07-01 00:00:00+03');

-- Kenya: KES 250,000 per transaction and 500,000 per day and in the wallet since August 2023; tier 1 (basic check) has less. The other
-- currencies follow at about the same value. A month is ten full days.
INSERT INTO limits (country, tier, kind, currency, per_transaction_minor, per_day_minor, per_month_minor, effective_from) VALUES
	('KE', 1, 'transfer', 'KES', 7000000, 14000000, 140000000, '2023-08-15 00:00:00+03'),
	('KE', 2, 'transfer', 'KES', 25000000, 50000000, 500000000, '2023-08-15 00:00:00+03'),
	('KE', 3, 'transfer', 'KES', 25000000, 50000000, 500000000, '2023-08-15 00:00:00+03'),
	('KE', 1, 'topup', 'KES', 7000000, 14000000, 140000000, '2023-08-15 00:00:00+03'),
	('KE', 2, 'topup', 'KES', 25000000, 50000000, 500000000, '2023-08-15 00:00:00+03'),
	('KE', 3, 'topup', 'KES', 25000000, 50000000, 500000000, '2023-08-15 00:00:00+03'),
	('KE', 1, 'transfer', 'UGX', 1900000, 3800000, 38000000, '2023-08-15 00:00:00+03'),
	('KE', 2, 'transfer', 'UGX', 7000000, 14000000, 140000000, '2023-08-15 00:00:00+03'),
	('KE', 3, 'transfer', 'UGX', 7000000, 14000000, 140000000, '2023-08-15 00:00:00+03'),
	('KE', 1, 'transfer', 'RWF', 780000, 1560000, 15600000, '2023-08-15 00:00:00+03'),
	('KE', 2, 'transfer', 'RWF', 2780000, 5560000, 55600000, '2023-08-15 00:00:00+03'),
	('KE', 3, 'transfer', 'RWF', 2780000, 5560000, 55600000, '2023-08-15 00:00:00+03'),
	('KE', 1, 'transfer', 'USD', 54000, 108000, 1080000, '2023-08-15 00:00:00+03'),
	('KE', 2, 'transfer', 'USD', 190000, 385000, 3850000, '2023-08-15 00:00:00+03'),
	('KE', 3, 'transfer', 'USD', 190000, 385000, 3850000, '2023-08-15 00:00:00+03');
INSERT INTO balance_limits (country, tier, currency, maximum_minor, effective_from) VALUES
	('KE', 1, 'KES', 10000000, '2023-08-15 00:00:00+03'), ('KE', 2, 'KES', 50000000, '2023-08-15 00:00:00+03'), ('KE', 3, 'KES', 50000000, '2023-08-15 00:00:00+03'),
	('KE', 1, 'UGX', 2700000, '2023-08-15 00:00:00+03'), ('KE', 2, 'UGX', 14000000, '2023-08-15 00:00:00+03'), ('KE', 3, 'UGX', 14000000, '2023-08-15 00:00:00+03'),
	('KE', 1, 'RWF', 1110000, '2023-08-15 00:00:00+03'), ('KE', 2, 'RWF', 5560000, '2023-08-15 00:00:00+03'), ('KE', 3, 'RWF', 5560000, '2023-08-15 00:00:00+03'),
	('KE', 1, 'USD', 77000, '2023-08-15 00:00:00+03'), ('KE', 2, 'USD', 385000, '2023-08-15 00:00:00+03'), ('KE', 3, 'USD', 385000, '2023-08-15 00:00:00+03');
