package journey

import (
	"context"

	"github.com/google/uuid"

	bankingclient "github.com/sendtip/sendtip/generated/banking/client"
)

// LinkBankAccount approves and links a bank account.
func (c *Customer) LinkBankAccount(ctx context.Context, bank, number string) (bankingclient.BankAccount, error) {
	id := uuid.New()
	approval, err := c.StepUpFor(ctx, "createBankAccount", id)
	if err != nil {
		return bankingclient.BankAccount{}, err
	}
	resp, err := c.Banking.CreateBankAccountWithResponse(ctx, &bankingclient.CreateBankAccountParams{StepUpToken: approval},
		bankingclient.CreateBankAccountRequest{ID: id, BankCode: bank, AccountNumber: number})
	if err != nil {
		return bankingclient.BankAccount{}, err
	}
	if resp.JSON201 == nil {
		return bankingclient.BankAccount{}, refusal(resp.StatusCode(), resp.Body)
	}
	return *resp.JSON201, nil
}
