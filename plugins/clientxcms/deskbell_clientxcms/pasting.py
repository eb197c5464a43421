"""Where ClientXCMS wants the URL: its own words for its pages, as version 2 has them.

https://github.com/ClientXCMS/ClientXCMS: ``helpdesk_webhook_url`` in ``HelpdeskServiceProvider.php`` and
``lang/*/helpdesk.php``.
"""

from __future__ import annotations

from collections.abc import Mapping

SETUP: Mapping[str, str] = {
    "en": (
        "In the admin of ClientXCMS: Settings, Help Center, Help Center settings. Paste the URL into the field "
        "“Webhook URL”, and save. That brings the four ticket events.\n"
        "The same URL in the webhook field of the billing settings brings paid orders; in that of the services' "
        "renewals, renewals and upgrades.\n"
        "ClientXCMS refuses addresses that only your own network has (127.0.0.1, 10.…, 192.168.…): give it the public "
        "https:// address."
    ),
    "fr": (
        "Dans l’administration de ClientXCMS : Paramètres, Centre d’aide, Paramètres du centre d’aide. Collez l’URL "
        "dans le champ « URL du webhook », puis enregistrez. Les quatre événements des tickets arrivent alors.\n"
        "La même URL dans le champ webhook des paramètres de facturation apporte les commandes payées ; dans celui du "
        "renouvellement des services, les renouvellements et les changements d’offre.\n"
        "ClientXCMS refuse les adresses propres à votre réseau (127.0.0.1, 10.…, 192.168.…) : donnez-lui l’adresse "
        "publique en https://."
    ),
    "es": (
        "En la administración de ClientXCMS: ajustes (Settings), centro de ayuda (Help Center), ajustes del centro de "
        "ayuda (Help Center settings). Pegue la URL en el campo «Webhook URL» y guarde. Así llegan los cuatro eventos "
        "de los tickets.\n"
        "La misma URL en el campo del webhook de los ajustes de facturación trae los pedidos pagados; en el de la "
        "renovación de los servicios, las renovaciones y los cambios de plan.\n"
        "ClientXCMS rechaza las direcciones que solo existen en su red (127.0.0.1, 10.…, 192.168.…): dele la dirección "
        "pública con https://."
    ),
}
