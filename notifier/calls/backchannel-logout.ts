import { z } from 'zod'
import { json, NOTIFIER, type Call } from '../../shared/http/calls/call.ts'
import { backchannelLogoutTakes } from '../routes/backchannel-logout.ts'

const refused = z.object({
  error: z.enum(['invalid_request', 'temporarily_unavailable']),
  error_description: z.string(),
  code: z.string(),
})

export const backchannelLogoutCalls: readonly Call[] = [
  {
    call: 'POST /v1/backchannel-logout',
    id: 'backchannelLogout',
    servedBy: NOTIFIER,
    summary: 'Takes the logout token of an identity provider, and revokes what it says',
    description:
      'OpenID Connect Back-Channel Logout 1.0 incorporating errata set 1. The token proves who calls. sid is revoked where it is there, else sub up to the iat of the token.',
    scopes: [],
    ...backchannelLogoutTakes['POST /v1/backchannel-logout'],
    answers: {
      200: json('It is revoked, or was by the same token.', z.object({})),
      400: json('The token, or the form, is not good; code says why.', refused),
      404: json('There is no such tenant, or it takes no logout tokens.', refused),
      429: json('Too many bad tokens came from this address.', refused),
      500: json('A fault of ours.', refused),
      503: json(
        'The store, or the keys of the provider, cannot be reached: send it again.',
        refused,
      ),
    },
  },
]
