"""What ClientXCMS 2 posts for each of its seven actions: realistic bodies, all values strings as on the wire."""

from __future__ import annotations

from collections.abc import Mapping

from deskbell import VARIABLES

_SITE = "https://clientxcms.com"
_ADMIN = f"{_SITE}/admin"
_APP = {"appname": "ClientXCMS", "appurl": _SITE}
_CUSTOMER = {
    "customer_url": f"{_ADMIN}/customers/{VARIABLES['userid']}",
    "customername": VARIABLES["username"],
    "customeremail": VARIABLES["email"],
}
_TICKET = {
    "__url": f"{_ADMIN}/helpdesk/tickets/{VARIABLES['ticket']}",
    "ticketid": VARIABLES["ticket"],
    **_CUSTOMER,
    "subject": VARIABLES["subject"],
    "department": VARIABLES["departmentName"],
}
_MESSAGE = {"message": VARIABLES["content"]}
_PRIORITY = {"priority": VARIABLES["priority"]}
_INVOICE = {"invoiceurl": f"{_ADMIN}/invoices/91"}

PAYLOADS: Mapping[str, Mapping[str, str]] = {
    "helpdesk_created": {**_TICKET, **_MESSAGE, **_PRIORITY, **_APP},
    "helpdesk_answered_customer": {**_TICKET, **_MESSAGE, **_APP},
    "helpdesk_answered_staff": {**_TICKET, **_MESSAGE, **_PRIORITY, **_APP},
    "helpdesk_closed": {**_TICKET, **_APP},
    "checkout_completed": {
        "__url": _INVOICE["invoiceurl"],
        **_CUSTOMER,
        "basketid": "77",
        "total": "25",
        "currency": "€",
        "gatewayname": "Stripe",
        **_INVOICE,
        "productnames": "VPS Pro, Backup",
        **_APP,
    },
    "service_renewed": {
        "__url": f"{_ADMIN}/services/1",
        "servicename": VARIABLES["related"],
        "serviceid": "1",
        **_CUSTOMER,
        "expiresat": "22/12/22",
        "last_expires_at": "22/11/22",
        "currency": "€",
        **_INVOICE,
        "price": "12.5",
        **_APP,
    },
    "service_upgraded": {
        **_CUSTOMER,
        "old_product": "VPS S",
        "new_product": "VPS Pro",
        "service_name": VARIABLES["related"],
        "service_url": f"{_ADMIN}/services/1",
        "invoice_url": _INVOICE["invoiceurl"],
        **_APP,
    },
}
"""The keys inside ``payload`` beside ``action``, by the CMS's own word for the action."""
