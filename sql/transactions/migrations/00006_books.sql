-- +goose Up
-- Each account belongs to one book, and money never moves between books: each balances alone. What there is gets the book of its kind, without
-- a rewrite of the table.
ALTER TABLE accounts ADD COLUMN book text NOT NULL DEFAULT 'emoney' CONSTRAINT accounts_book CHECK (book IN ('emoney', 'lending', 'savings'));
UPDATE accounts SET book = 'lending' WHERE kind = 'loan_receivable';
-- From here on the kind decides where nobody says: a default would put a loan that an older replica opens during an upgrade into the wrong book.
ALTER TABLE accounts ALTER COLUMN book DROP DEFAULT;
-- +goose StatementBegin
CREATE FUNCTION accounts_book() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	NEW.book := CASE NEW.kind WHEN 'loan_receivable' THEN 'lending' ELSE 'emoney' END;
	RETURN NEW;
END $$;
-- +goose StatementEnd
REVOKE ALL ON FUNCTION accounts_book() FROM PUBLIC;
CREATE TRIGGER accounts_book BEFORE INSERT ON accounts FOR EACH ROW WHEN (NEW.book IS NULL) EXECUTE FUNCTION accounts_book();

-- Who an account is never changes, and the book belongs to that.
DROP TRIGGER accounts_identity ON accounts;
CREATE TRIGGER accounts_identity BEFORE UPDATE OF id, code, owner_id, kind, currency, normal_side, created_at, book ON accounts
	FOR EACH ROW EXECUTE FUNCTION ledger_append_only();

-- Which format the leaf of a transaction has (docs/ledger.md): the second one carries the books of its entries. The default is that of all
-- transactions so far, and of those that an older replica still writes during an upgrade.
ALTER TABLE transactions ADD COLUMN leaf_version smallint NOT NULL DEFAULT 1;
